#include "train/checkpoint.h"

#include <nlohmann/json.hpp>

#include "base/crc32c.h"
#include "fixture.h"
#include "train/manifest.h"

namespace ldmpi::train::test {
namespace {

TEST(StepFolder, NamesAreReadBackInOneSpellingOnly) {
  EXPECT_EQ(step_folder_name(10), "step-00000010");
  EXPECT_EQ(step_folder_name(1234567890123), "step-1234567890123");
  EXPECT_EQ(step_of_folder_name("step-00000010"), 10);
  EXPECT_EQ(step_of_folder_name("step-1234567890123"), 1234567890123);
  for (const char* name : {"step-10", "step-", "step-0000001x", "step--0000001", "step-00000010.corrupt", ".tmp-1-2",
                           "step-99999999999999999999", "step-+0000010", ""})
    EXPECT_FALSE(step_of_folder_name(name)) << name;
}

TEST(StepFolder, ListIsNewestFirstAndIgnoresOthers) {
  Scratch scratch;
  for (const char* name : {"step-00000002", "step-00000030", "step-00000007", "step-00000040.corrupt", ".tmp-0-1"})
    std::filesystem::create_directory(scratch / name);
  put(scratch / "step-00000050", "a file, not a folder");
  EXPECT_EQ(list_steps(scratch.path()), (std::vector<std::int64_t>{30, 7, 2}));
  EXPECT_TRUE(list_steps(scratch / "absent").empty());
}

TEST(WriteSnapshot, HasExactlyTheDocumentedFilesAndReadsBack) {
  Checkpoints checkpoints({10});
  EXPECT_EQ(files_in(checkpoints.folder(10)),
            (std::vector<std::string>{"MANIFEST.json", "config.cfg", "state/optimizer.safetensors", "state/state.json",
                                      "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
                                      "unet_ema/config.json", "unet_ema/diffusion_pytorch_model.safetensors"}));
  expect_content(CheckpointReader(checkpoints.folder(10)), 10);
}

TEST(WriteSnapshot, ManifestAgreesWithEveryByteOnDisk) {
  Checkpoints checkpoints({3});
  const auto folder = checkpoints.folder(3);
  const Manifest manifest = parse_manifest(get(folder / kManifestFile), "m");
  EXPECT_EQ(manifest.files.size(), files_in(folder).size() - 1);
  for (const auto& [path, entry] : manifest.files) {
    const std::string content = get(folder / path);
    EXPECT_EQ(entry.bytes, content.size()) << path;
    EXPECT_EQ(entry.crc, crc32c(io::test::bytes_of(content))) << path;
    if (!path.ends_with(".safetensors")) continue;
    const io::SafetensorsFile file(folder / path);
    EXPECT_EQ(entry.tensors.size(), file.tensors().size());
    for (const io::TensorInfo& tensor : file.tensors()) {
      std::vector<std::byte> bytes(tensor.bytes);
      file.read(tensor, bytes);
      EXPECT_EQ(entry.tensors.at(tensor.name), crc32c(bytes)) << tensor.name;
    }
  }
  EXPECT_EQ(manifest.step, 3);
  EXPECT_EQ(manifest.cursor, 3U * 16 + (1ULL << 60));
  EXPECT_EQ(manifest.seed, 0xffffffffffffffffULL);
}

TEST(WriteSnapshot, StoresInTheTypeThatIsAskedFor) {
  Scratch scratch;
  TinySnapshot snapshot(1);
  snapshot.files_ = {{"unet/x.safetensors", {{"w", DType::BF16, Shape{4}}, {"none", DType::F32, Shape{0, 3}}}}};
  snapshot.texts_.clear();
  write_snapshot(snapshot, scratch / "c");
  const CheckpointReader reader(scratch / "c");
  EXPECT_EQ(reader.tensors("unet/x.safetensors").at("w").dtype, DType::BF16);
  std::vector<float> values(4);
  reader.read_float("unet/x.safetensors", "w", Shape{4}, values);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(values[i], from_bf16(to_bf16(value_at(1, 0, 0, i))));
}

TEST(WriteSnapshot, EstimatesItsSize) {
  Checkpoints checkpoints({1});
  std::uint64_t bytes = 0;
  for (const auto& name : files_in(checkpoints.folder(1)))
    bytes += std::filesystem::file_size(checkpoints.folder(1) / name);
  const std::uint64_t estimate = snapshot_bytes(TinySnapshot(1));
  EXPECT_GT(estimate * 2, bytes);
  EXPECT_LT(estimate, bytes * 2);
}

TEST(PublishFolder, GivesTheNameAndReplacesAnOlderFolder) {
  Checkpoints checkpoints({});
  for (const std::int64_t width : {5, 6}) {
    const auto temporary = checkpoints.path() / ".tmp-x";
    write_snapshot(TinySnapshot(4, width), temporary);
    publish_folder(temporary, checkpoints.folder(4));
    EXPECT_FALSE(std::filesystem::exists(temporary));
    expect_content(CheckpointReader(checkpoints.folder(4)), 4, width);
  }
  EXPECT_FALSE(checkpoints.exists(".trash-step-00000004"));
}

TEST(RequireSpace, RefusesWhatCannotFit) {
  Scratch scratch;
  require_space(scratch.path(), 1000);
  expect_error(Exit::CannotCreate, "free", [&] { require_space(scratch.path(), 1ULL << 60); });
}

TEST(TrainStateText, RoundTrip) {
  const TrainState state = TinySnapshot(77).state();
  EXPECT_EQ(parse_train_state(to_json(state), "s"), state);
  TrainState odd;
  odd.choices = "\"quotes\" \\ \n \t <tag> \xc3\xa9";
  odd.wall_seconds = 1.0 / 3.0;
  odd.loss_scale = 5.960464477539063e-08;
  EXPECT_EQ(parse_train_state(to_json(odd), "s"), odd);
}

TEST(TrainStateText, NamesWhatIsWrong) {
  const auto good = nlohmann::json::parse(to_json(TinySnapshot(1).state()));
  const auto broken = [&](const char* key, const nlohmann::json& value) {
    auto json = good;
    json[key] = value;
    expect_error(Exit::BadData, key, [&] { (void)parse_train_state(json.dump(), "s"); });
  };
  broken("step", "1");
  broken("step", 1.5);
  broken("cursor", -1);
  broken("choices", 7);
  broken("fingerprints", {{"model", 3}});
  auto negative = good;
  negative["step"] = -1;
  expect_error(Exit::BadData, "negative", [&] { (void)parse_train_state(negative.dump(), "s"); });
  auto missing = good;
  missing.erase("seed");
  expect_error(Exit::BadData, "seed", [&] { (void)parse_train_state(missing.dump(), "s"); });
  for (const char* text : {"", "[]", "{", "null"})
    expect_error(Exit::BadData, "s", [&] { (void)parse_train_state(text, "s"); });
}

Manifest small_manifest() {
  Manifest manifest{
      .program = "1.2", .step = 4, .seed = 7, .cursor = 64, .world_size = 2, .total_batch_size = 16, .files = {}};
  manifest.files["unet/config.json"] = {.bytes = 10, .crc = 0xffffffffU, .tensors = {}};
  manifest.files["a/b.safetensors"] = {.bytes = 1ULL << 40, .crc = 1, .tensors = {{"w", 3}, {"b", 4}}};
  return manifest;
}

TEST(ManifestText, RoundTrip) {
  EXPECT_EQ(parse_manifest(to_json(small_manifest()), "m"), small_manifest());
}

TEST(ManifestText, RefusesPathsOutside) {
  for (const char* path : {"..", ".", "../x", "/etc/passwd", "a/../../x", "a//b", "./a", "a/", ""}) {
    Manifest manifest = small_manifest();
    manifest.files[path] = {};
    expect_error(Exit::BadData, "inside", [&] { (void)parse_manifest(to_json(manifest), "m"); });
  }
}

TEST(ManifestText, RefusesOtherFormats) {
  Manifest manifest = small_manifest();
  manifest.format = kCheckpointFormat + 1;
  expect_error(Exit::MissingInput, "newer version", [&] { (void)parse_manifest(to_json(manifest), "m"); });
  manifest.format = 0;
  expect_error(Exit::BadData, "format", [&] { (void)parse_manifest(to_json(manifest), "m"); });
  for (const char* text : {"", "{}", "[1]", "{\"format\": \"other\"}", "\xff\xfe"})
    expect_error(Exit::BadData, "m", [&] { (void)parse_manifest(text, "m"); });
}

TEST(ManifestText, NoSingleBitFlipGoesUnnoticed) {
  const std::string good = to_json(small_manifest());
  int refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] = static_cast<char>(static_cast<unsigned char>(bad[i]) ^ (1U << bit));
      try {
        EXPECT_EQ(parse_manifest(bad, "m"), small_manifest()) << "byte " << i << " bit " << bit;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Exit::BadData) << error.what();
        ++refused;
      }
    }
  EXPECT_GT(refused, static_cast<int>(good.size()) * 6);
}

}  // namespace
}  // namespace ldmpi::train::test
