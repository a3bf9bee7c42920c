#include "train/checkpoint_reader.h"

#include <random>

#include "fixture.h"
#include "train/manifest.h"

namespace ldmpi::train::test {
namespace {

void flip_bit(const std::filesystem::path& file, std::size_t offset, unsigned bit) {
  std::string content = get(file);
  content.at(offset) = static_cast<char>(static_cast<unsigned char>(content.at(offset)) ^ (1U << bit));
  put(file, content);
}

TEST(Newest, IsTheHighestStep) {
  Checkpoints checkpoints({5, 20, 10});
  const auto reader = open_newest_checkpoint(checkpoints.path());
  ASSERT_TRUE(reader);
  expect_content(*reader, 20);
}

TEST(Newest, NothingWhereThereNeverWasOne) {
  Checkpoints checkpoints({});
  EXPECT_EQ(open_newest_checkpoint(checkpoints.path()), nullptr);
  std::filesystem::create_directory(checkpoints.path() / ".tmp-0-17");
  EXPECT_EQ(open_newest_checkpoint(checkpoints.path()), nullptr);
  EXPECT_EQ(open_newest_checkpoint(checkpoints.path() / "absent"), nullptr);
}

TEST(Damage, ABitFlippedInAnyFileFallsBackToTheOlder) {
  std::mt19937 random(1);
  for (const std::string& file : files_in(Checkpoints({9}).folder(9))) {
    Checkpoints checkpoints({5, 9});
    const auto path = checkpoints.folder(9) / file;
    // Not the line end behind the manifest, which means nothing.
    flip_bit(path, random() % (std::filesystem::file_size(path) - 1), random() % 8);
    const auto reader = open_newest_checkpoint(checkpoints.path());
    ASSERT_TRUE(reader) << file;
    expect_content(*reader, 5);
    EXPECT_FALSE(checkpoints.exists("step-00000009")) << file;
    EXPECT_TRUE(checkpoints.exists("step-00000009.corrupt")) << file;
  }
}

TEST(Damage, EveryBitOfTheTensorFilesCounts) {
  Checkpoints checkpoints({9});
  const auto path = checkpoints.folder(9) / kUnetFile;
  const std::string good = get(path);
  for (std::size_t offset = 0; offset < good.size(); offset += 3) {
    flip_bit(path, offset, static_cast<unsigned>(offset % 8));
    EXPECT_THROW(CheckpointReader reader(checkpoints.folder(9)), Error) << offset;
    put(path, good);
  }
  expect_content(CheckpointReader(checkpoints.folder(9)), 9);
}

TEST(Damage, TheMessageNamesFileTensorAndSums) {
  Checkpoints checkpoints({9});
  const auto path = checkpoints.folder(9) / kOptimizerFile;
  flip_bit(path, std::filesystem::file_size(path) - 1, 6);
  expect_error(Exit::BadData, "tensor v.conv_in.weight", [&] { CheckpointReader reader(checkpoints.folder(9)); });
  expect_error(Exit::BadData, "optimizer.safetensors is damaged",
               [&] { CheckpointReader reader(checkpoints.folder(9)); });
  CheckpointReader trusting(checkpoints.folder(9), Verify::Sizes);  // reads no values
  EXPECT_EQ(trusting.state().step, 9);
}

TEST(Damage, MissingTruncatedAndLongerFiles) {
  for (const std::string& file : files_in(Checkpoints({9}).folder(9))) {
    for (const int kind : {0, 1, 2}) {
      Checkpoints checkpoints({5, 9});
      const auto path = checkpoints.folder(9) / file;
      const std::string content = get(path);
      if (kind == 0) std::filesystem::remove(path);
      if (kind == 1) put(path, content.substr(0, content.size() / 2));
      if (kind == 2) put(path, content + "x");
      EXPECT_THROW(CheckpointReader reader(checkpoints.folder(9), Verify::Sizes), Error) << file << kind;
      const auto reader = open_newest_checkpoint(checkpoints.path());
      ASSERT_TRUE(reader) << file << kind;
      EXPECT_EQ(reader->state().step, 5) << file << kind;
    }
  }
}

TEST(Damage, AWholeFolderUnderTheWrongNameIsNotBelieved) {
  Checkpoints checkpoints({5});
  std::filesystem::copy(checkpoints.folder(5), checkpoints.folder(8), std::filesystem::copy_options::recursive);
  EXPECT_EQ(open_newest_checkpoint(checkpoints.path())->state().step, 5);
  EXPECT_TRUE(checkpoints.exists("step-00000008.corrupt"));
}

TEST(Damage, AllBadNeverBeginsAnewSilently) {
  Checkpoints checkpoints({5, 9});
  for (const std::int64_t step : {5, 9}) std::filesystem::remove(checkpoints.folder(step) / kManifestFile);
  expect_error(Exit::MissingInput, "every checkpoint", [&] { (void)open_newest_checkpoint(checkpoints.path()); });
  EXPECT_TRUE(checkpoints.exists("step-00000005.corrupt"));
  // The next start still sees that there was a run.
  expect_error(Exit::MissingInput, "every checkpoint", [&] { (void)open_newest_checkpoint(checkpoints.path()); });
}

TEST(Damage, ASecondCorruptOneOfTheSameStepGetsAnotherName) {
  Checkpoints checkpoints({5, 9});
  std::filesystem::create_directory(checkpoints.path() / "step-00000009.corrupt");
  std::filesystem::remove(checkpoints.folder(9) / kStateFile);
  EXPECT_EQ(open_newest_checkpoint(checkpoints.path())->state().step, 5);
  EXPECT_TRUE(checkpoints.exists("step-00000009.corrupt-2"));
}

TEST(Newer, AFormatFromTheFutureIsRefusedAndLeftAlone) {
  Checkpoints checkpoints({5, 9});
  const auto path = checkpoints.folder(9) / kManifestFile;
  Manifest manifest = parse_manifest(get(path), "m");
  ++manifest.format;
  put(path, to_json(manifest));
  expect_error(Exit::MissingInput, "newer version", [&] { (void)open_newest_checkpoint(checkpoints.path()); });
  EXPECT_TRUE(checkpoints.exists("step-00000009"));
  EXPECT_TRUE(checkpoints.exists("step-00000005"));
}

TEST(Reading, RefusesWhatIsNotThere) {
  Checkpoints checkpoints({5});
  const CheckpointReader reader(checkpoints.folder(5));
  std::vector<float> values(5);
  EXPECT_TRUE(reader.has(kEmaFile));
  EXPECT_FALSE(reader.has("unet/other"));
  expect_error(Exit::BadData, "unet/other", [&] { (void)reader.text("unet/other"); });
  expect_error(Exit::BadData, "holds no", [&] { (void)reader.tensors("unet/config.json"); });
  expect_error(Exit::BadData, "conv_out", [&] { reader.read_float(kUnetFile, "conv_out.bias", Shape{5}, values); });
  expect_error(Exit::BadData, "[5,1]", [&] { reader.read_float(kUnetFile, "conv_in.bias", Shape{5, 1}, values); });
  expect_error(Exit::MissingInput, "no checkpoint folder", [&] { CheckpointReader absent(checkpoints.folder(6)); });
}

}  // namespace
}  // namespace ldmpi::train::test
