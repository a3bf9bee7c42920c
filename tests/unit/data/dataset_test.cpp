// What Dataset::open accepts and refuses (rows 24 to 31 of the fault list): code and message, all problems at once.
#include "data/dataset.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "data/batch_reader.h"
#include "io/atomic_file.h"
#include "io/hdf5.h"
#include "make_dataset.h"

namespace ldmpi::data {
namespace {

std::pair<Exit, std::string> open_error(const std::filesystem::path& path) {
  return error_of([&] { (void)Dataset::open(path); });
}

void expect_error(const std::filesystem::path& path, Exit code, std::initializer_list<const char*> parts) {
  const auto [found, text] = open_error(path);
  EXPECT_EQ(found, code) << text;
  for (const char* part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << "\"" << part << "\" is not in: " << text;
}

TEST(Dataset, IsTheSameWithAndWithoutManifest) {
  const Folder folder;
  make_shards(folder.path(), {10, 7});
  const auto without = Dataset::open(folder.path());
  make_manifest(folder.path());
  const auto with = Dataset::open(folder.path());
  EXPECT_EQ(with.info().fingerprint, without.info().fingerprint);
  EXPECT_EQ(with.info().samples, 17U);
  EXPECT_EQ(with.info().context, (Shape{3, 7}));
  EXPECT_EQ(with.info().scaling_factor, 0.5);
  EXPECT_EQ(with.info().shift, 0.25);
  EXPECT_EQ(with.where(12), (folder / "shard-1.h5").string() + ", row 2");
  EXPECT_EQ(with.caption(12), "caption 2");

  const Folder other;  // another path, another time
  make_shards(other.path(), {10, 7});
  EXPECT_EQ(Dataset::open(other.path()).info().fingerprint, with.info().fingerprint);
  write_shard(other / "shard-1.h5", make_content(9, 7));
  EXPECT_NE(Dataset::open(other.path()).info().fingerprint, with.info().fingerprint);
}

TEST(Dataset, MissingEmptyAndForeign) {
  const Folder folder;
  expect_error(folder / "nowhere", Exit::MissingInput, {"nowhere"});
  expect_error(folder.path(), Exit::BadData, {"no shards", "ldmpi-data"});
  io::write_file_atomically(folder / "a.h5", std::string_view("this is not HDF5"));
  expect_error(folder.path(), Exit::BadData, {"a.h5", "not a sound HDF5 file"});
  io::write_file_atomically(folder / "a.h5", std::string_view(""));
  expect_error(folder.path(), Exit::BadData, {"a.h5 (0 bytes)"});
}

TEST(Dataset, ListsAllTruncatedAndMissingShards) {
  const Folder folder;
  make_shards(folder.path(), {30, 30, 30, 30});
  make_manifest(folder.path());
  const auto size = std::filesystem::file_size(folder / "shard-0.h5");
  std::filesystem::resize_file(folder / "shard-0.h5", size / 2);
  std::filesystem::resize_file(folder / "shard-1.h5", size * 999 / 1000);
  std::filesystem::resize_file(folder / "shard-2.h5", 0);
  expect_error(folder.path(), Exit::BadData,
               {"3 problems", "shard-0.h5 has", "shard-1.h5 has", "shard-2.h5 has 0 bytes"});
  std::filesystem::remove(folder / "manifest.json");
  expect_error(folder.path(), Exit::BadData, {"3 problems", "shard-0.h5", "shard-1.h5", "shard-2.h5"});
  make_shards(folder.path(), {30, 30, 30, 30});
  make_manifest(folder.path());
  std::filesystem::remove(folder / "shard-1.h5");
  expect_error(folder.path(), Exit::MissingInput, {"shard-1.h5"});
}

TEST(Dataset, NamesUnreadableShards) {
  const Folder folder;
  make_shards(folder.path(), {5, 5, 5});
  make_manifest(folder.path());
  for (const char* name : {"shard-0.h5", "shard-2.h5"}) ASSERT_EQ(::chmod((folder / name).c_str(), 0), 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod((folder / "manifest.json").c_str(), 0644), 0);
  ASSERT_EQ(::chmod((folder / "shard-1.h5").c_str(), 0644), 0);
  const bool root = ::geteuid() == 0;  // who may read everything: test as somebody else
  if (root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const auto [code, text] = open_error(folder.path());
  if (root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_EQ(code, Exit::NoPermission) << text;
  EXPECT_NE(text.find("shard-0.h5"), std::string::npos) << text;
  EXPECT_NE(text.find("shard-2.h5"), std::string::npos) << text;
  EXPECT_EQ(text.find("shard-1.h5"), std::string::npos) << text;
}

TEST(Dataset, RefusesShardsThatDoNotFitTogether) {
  const Folder folder;
  make_shards(folder.path(), {5, 5});
  std::filesystem::copy_file(folder / "shard-0.h5", folder / "shard-2.h5");
  auto content = make_content(8, 5);
  content.facts.scaling_factor = 0.75;
  content.facts.codec = "another";
  write_shard(folder / "shard-3.h5", content);
  expect_error(folder.path(), Exit::BadData,
               {"3 problems", "shard-2.h5 holds the same samples as shard-0.h5",
                "scaling_factor: expected 0.5, found 0.75", "codec: expected test, found another"});
}

/// A shard written by hand, with one thing changed by `change`.
void write_by_hand(const std::filesystem::path& path,
                   const std::function<bool(io::Hdf5Writer&, const std::string&)>& change) {
  io::Hdf5Writer writer(path);
  const std::vector<std::byte> zeros(100000);
  const auto put = [&](const std::string& name, DType dtype, const Shape& shape) {
    if (!change(writer, name))
      writer.write(name, dtype, shape,
                   std::span(zeros).first(static_cast<std::size_t>(shape.count()) * size_of(dtype)));
  };
  if (!change(writer, "format")) writer.attribute("format", std::string_view("ldmpi-shard"));
  if (!change(writer, "format_version")) writer.attribute("format_version", std::int64_t{1});
  if (!change(writer, "scaling_factor")) writer.attribute("scaling_factor", 1.0);
  put("latents", DType::F16, Shape{3, 4, 2, 2});
  put("prompt_embeds", DType::F16, Shape{2, 3, 4});
  put("prompt_index", DType::U32, Shape{3});
  put("crc32c", DType::U32, Shape{3});
  put("prompt_crc32c", DType::U32, Shape{2});
  writer.commit();
}

TEST(Dataset, NamesWhatIsWrongWithASchema) {
  const Folder folder;
  const auto path = folder / "a.h5";
  const std::vector<std::byte> zeros(100000);
  const auto with = [&](const std::string& changed, const std::function<void(io::Hdf5Writer&)>& write) {
    write_by_hand(path, [&](io::Hdf5Writer& writer, const std::string& name) {
      if (name != changed) return false;
      write(writer);
      return true;
    });
  };
  const auto numbers = [&](const std::string& name, DType dtype, const Shape& shape) {
    with(name, [&](io::Hdf5Writer& w) {
      w.write(name, dtype, shape, std::span(zeros).first(static_cast<std::size_t>(shape.count()) * size_of(dtype)));
    });
  };
  with("nothing", [](io::Hdf5Writer&) {});
  EXPECT_EQ(open_error(path).first, Exit::Done) << open_error(path).second;

  with("format", [](io::Hdf5Writer&) {});
  expect_error(path, Exit::BadData, {"'format': expected \"ldmpi-shard\", found none"});
  with("format_version", [](io::Hdf5Writer& w) { w.attribute("format_version", std::int64_t{2}); });
  expect_error(path, Exit::BadData, {"'format_version': expected 1, found 2"});
  with("scaling_factor", [](io::Hdf5Writer& w) { w.attribute("scaling_factor", std::string_view("one")); });
  expect_error(path, Exit::BadData, {"'scaling_factor' must be a number"});
  with("scaling_factor", [](io::Hdf5Writer& w) { w.attribute("scaling_factor", -1.0); });
  expect_error(path, Exit::BadData, {"'scaling_factor': expected a number above 0, found -1"});
  for (const char* name : {"latents", "prompt_embeds", "prompt_index", "crc32c", "prompt_crc32c"}) {
    with(name, [](io::Hdf5Writer&) {});
    expect_error(path, Exit::BadData, {name});
  }
  numbers("latents", DType::F64, Shape{3, 4, 2, 2});
  expect_error(path, Exit::BadData, {"'latents': expected f16 or f32, found f64"});
  numbers("latents", DType::F16, Shape{3, 16});
  expect_error(path, Exit::BadData, {"'latents': expected 4 axes, found [3,16]"});
  numbers("latents", DType::F16, Shape{0, 4, 2, 2});
  expect_error(path, Exit::BadData, {"'latents'", "not empty"});
  numbers("prompt_index", DType::F32, Shape{3});
  expect_error(path, Exit::BadData, {"'prompt_index': expected i32 or u32 or i64, found f32"});
  numbers("prompt_index", DType::I64, Shape{4});
  expect_error(path, Exit::BadData, {"'prompt_index': expected 3 rows, found 4"});
  numbers("crc32c", DType::U32, Shape{2});
  expect_error(path, Exit::BadData, {"'crc32c': expected 3 rows, found 2"});
  with("crc32c", [](io::Hdf5Writer& w) { w.write_text("crc32c", std::vector<std::string>(3)); });
  expect_error(path, Exit::BadData, {"'crc32c': expected u32, found strings"});
  with("prompt_index", [](io::Hdf5Writer& w) {
    const std::vector<std::uint32_t> index{0, 1, 2};
    w.write("prompt_index", DType::U32, Shape{3}, std::as_bytes(std::span(index)));
  });
  expect_error(path, Exit::BadData, {"'prompt_index': row 2 says 2, but there are 2 prompts"});
  with("prompt_embeds", [&](io::Hdf5Writer& w) {
    w.write("prompt_embeds", DType::F16, Shape{2, 3, 4}, std::span(zeros).first(48));
    w.write("moments", DType::F16, Shape{3, 4, 2, 2}, std::span(zeros).first(96));
  });
  expect_error(path, Exit::BadData, {"exactly one", "found both"});
}

TEST(Manifest, RefusesDamageAndUnsafeNames) {
  const Folder folder;
  make_shards(folder.path(), {5, 5});
  make_manifest(folder.path());
  const auto path = folder / "manifest.json";
  const std::string good = io::read_text_file(path, 1 << 20);
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    io::write_file_atomically(path, text);
  };
  replaced("\"scaling_factor\": 0.5", "\"scaling_factor\": 0.6");
  expect_error(folder.path(), Exit::BadData, {"manifest.json", "checksum", "--write_manifest"});
  replaced("\"ldmpi-manifest\"", "\"something\"");
  expect_error(folder.path(), Exit::BadData, {"'format' is not"});
  io::write_file_atomically(path, good.substr(0, good.size() / 2));
  expect_error(folder.path(), Exit::BadData, {"manifest.json"});
  auto manifest = [&] {
    io::write_file_atomically(path, good);
    return *read_manifest(folder.path());
  }();
  for (const char* name : {"../shard-0.h5", "/etc/passwd", "a/b.h5", "..", ""}) {
    manifest.shards[0].file = name;
    write_manifest(folder.path(), manifest);
    expect_error(folder.path(), Exit::BadData, {"not a plain name"});
  }
}

/// Every float and id that training could get from the dataset; what an error-free reader must reproduce.
std::string everything(const std::filesystem::path& folder) {
  const auto dataset = Dataset::open(folder);
  std::string out =
      fmt::format("{:016x} {} {}\n", dataset.info().fingerprint, dataset.info().scaling_factor, dataset.info().shift);
  for (std::uint64_t sample = 0; sample < dataset.info().samples; ++sample) {
    const auto batch = read_samples(dataset, std::span(&sample, 1));
    for (const auto* values : {&batch.rows.latents, &batch.rows.context, &batch.rows.time_ids})
      out.append(reinterpret_cast<const char*>(values->data()), values->size() * sizeof(float));
  }
  return out;
}

TEST(Dataset, BitFlipsAreNeverSilentAndNeverCrash) {
  const Folder folder;
  auto content = make_content(1, 6);
  content.facts.time_ids = true;
  content.time_ids.assign(36, 3.5F);
  write_shard(folder / "shard-0.h5", content);
  make_manifest(folder.path());
  const auto path = folder / "shard-0.h5";
  const std::string good = everything(folder.path());
  const auto bytes = io::read_file(path, 1 << 20);
  const auto reader = io::Hdf5Reader::open(path);
  const auto from = *reader.dataset("latents")->address;
  const std::uint64_t until = from + 6 * 240;  // the samples themselves have a test of their own
  int harmless = 0;
  constexpr std::uint64_t kSeeds = 200;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Draw draw{seed, Purpose::Synthetic, 77};
    auto at = draw.below(0, static_cast<std::uint32_t>(bytes.size() - (until - from)));
    if (at >= from) at += static_cast<std::uint32_t>(until - from);
    auto damaged = bytes;
    damaged[at] ^= static_cast<std::byte>(1U << draw.below(1, 8));
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(damaged.data()), static_cast<std::streamsize>(damaged.size()));
    std::string found;
    const auto [code, text] = error_of([&] { found = everything(folder.path()); });
    if (code == Exit::Done) {
      ASSERT_EQ(found, good) << "silent damage by bit flip at " << at << ", seed " << seed;
      ++harmless;
    } else {
      ASSERT_EQ(code, Exit::BadData) << text;
    }
  }
  EXPECT_LT(harmless, static_cast<int>(kSeeds)) << "no flip was noticed";
  EXPECT_GT(harmless, 0) << "captions and padding do not matter for training";
}

}  // namespace
}  // namespace ldmpi::data
