#include "data/batch_reader.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <thread>

#include "base/dtype.h"
#include "io/hdf5.h"
#include "make_dataset.h"

namespace ldmpi::data {
namespace {

ReaderOptions options_for(int rank, int ranks, std::uint64_t total, int accumulation = 1) {
  ReaderOptions options;
  options.seed = 11;
  options.total_batch_size = total;
  options.rank = rank;
  options.ranks = ranks;
  options.accumulation = accumulation;
  options.batch_size = total / static_cast<std::uint64_t>(ranks * accumulation);
  return options;
}

/// draw index -> sample id of the first `steps` steps of all ranks.
std::map<std::uint64_t, std::uint64_t> sequence(const Dataset& dataset, int ranks, int accumulation, int steps,
                                                std::uint64_t cursor = 0) {
  std::map<std::uint64_t, std::uint64_t> out;
  for (int rank = 0; rank < ranks; ++rank) {
    auto options = options_for(rank, ranks, 8, accumulation);
    options.start_cursor = cursor;
    BatchReader reader(dataset, options);
    for (int i = 0; i < steps * accumulation; ++i) {
      const Batch& batch = reader.next();
      EXPECT_EQ(batch.micro, i % accumulation);
      for (std::size_t j = 0; j < batch.draws.size(); ++j)
        EXPECT_TRUE(out.emplace(batch.draws[j], batch.sample_ids[j]).second) << "draw " << batch.draws[j] << " twice";
    }
  }
  return out;
}

void flip_bit(const std::filesystem::path& path, std::uint64_t byte, int bit) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(byte));
  const char value = static_cast<char>(file.get() ^ (1 << bit));
  file.seekp(static_cast<std::streamoff>(byte));
  file.put(value);
}

std::uint64_t address_of(const std::filesystem::path& path, const std::string& name) {
  return *io::Hdf5Reader::open(path).dataset(name)->address;
}

TEST(BatchReader, GivesScaledValuesOfTheRightSamples) {
  const Folder folder;
  make_shards(folder.path(), {10, 7});
  const auto dataset = Dataset::open(folder.path());
  BatchReader reader(dataset, options_for(0, 1, 4));
  for (int step = 0; step < 20; ++step) {
    const Batch& batch = reader.next();
    EXPECT_EQ(batch.latent_shape, (Shape{4, 4, 6, 5}));
    EXPECT_EQ(batch.cursor, static_cast<std::uint64_t>(step) * 4);
    for (std::size_t row = 0; row < 4; ++row) {
      const std::uint64_t id = batch.sample_ids[row];
      const std::uint64_t key = id < 10 ? 0 : 1;
      const std::uint64_t in_shard = id < 10 ? id : id - 10;
      for (std::size_t i = 0; i < 120; ++i) {
        const float raw = from_f16(to_f16(2.0F * value_of(key, in_shard * 120 + i)));
        ASSERT_EQ(batch.rows.latents[row * 120 + i], (raw - 0.25F) * 0.5F) << "sample " << id << " value " << i;
      }
      for (std::size_t i = 0; i < 21; ++i)
        ASSERT_EQ(batch.rows.context[row * 21 + i], from_f16(to_f16(value_of(key + 1000, in_shard % 3 * 21 + i))));
    }
  }
  EXPECT_EQ(dataset.empty_prompt(), std::vector<float>(21, 0.0F));
}

TEST(BatchReader, SequenceIsTheSameAtAnyWorldSize) {
  const Folder folder;
  make_shards(folder.path(), {13, 21, 5});
  const auto dataset = Dataset::open(folder.path());
  const auto one = sequence(dataset, 1, 1, 15);
  EXPECT_EQ(one.size(), 120U);
  EXPECT_EQ(one.rbegin()->first, 119U);
  for (const auto& [ranks, accumulation] : {std::pair{2, 1}, {4, 1}, {1, 4}, {2, 2}, {4, 2}})
    EXPECT_EQ(sequence(dataset, ranks, accumulation, 15), one) << ranks << " ranks, accumulation " << accumulation;
}

TEST(BatchReader, ResumesAnywhere) {
  const Folder folder;
  make_shards(folder.path(), {13, 21, 5});  // 39 samples: epochs end within batches 4, 9, ...
  const auto dataset = Dataset::open(folder.path());
  const auto all = sequence(dataset, 1, 1, 20);
  for (const std::uint64_t step : {0, 1, 3, 4, 5, 9, 12})
    for (const auto& [draw, sample] : sequence(dataset, 2, 1, 5, step * 8)) EXPECT_EQ(all.at(draw), sample);
}

TEST(BatchReader, ReadsMomentsPooledAndTimeIds) {
  const Folder folder;
  auto content = make_content(3, 6);
  content.facts.moments = true;
  content.facts.latent = Shape{2, 6, 5};  // of the stored 4 channels: 2 means, 2 log-variances
  content.facts.latent_type = DType::F32;
  content.facts.pooled_width = 5;
  for (int i = 0; i < 4 * 5; ++i) content.pooled.push_back(static_cast<float>(i));
  content.facts.time_ids = true;
  for (int i = 0; i < 6 * 6; ++i) content.time_ids.push_back(static_cast<float>(100 + i));
  content.latents[60] = 400.0F;   // log-variance of sample 0: held at 20
  content.latents[61] = -400.0F;  // held at -30
  write_shard(folder / "a.h5", content);
  const auto dataset = Dataset::open(folder / "a.h5");
  EXPECT_TRUE(dataset.info().has_moments);
  EXPECT_EQ(dataset.info().buckets.front().latent, (Shape{2, 6, 5}));
  const std::vector<std::uint64_t> ids{0, 4};
  const Batch batch = read_samples(dataset, ids);
  EXPECT_EQ(batch.latent_shape, (Shape{2, 4, 6, 5}));
  for (std::size_t row = 0; row < 2; ++row)
    for (std::size_t i = 0; i < 120; ++i) {
      const float raw = content.latents[ids[row] * 120 + i];
      const float expected = i < 60 ? (raw - 0.25F) * 0.5F : std::exp(0.5F * std::clamp(raw, -30.0F, 20.0F)) * 0.5F;
      ASSERT_FLOAT_EQ(batch.rows.latents[row * 120 + i], expected);
    }
  EXPECT_EQ(batch.rows.pooled[5], 5.0F * 2);  // sample 4 has prompt 2
  EXPECT_EQ(batch.rows.time_ids[6], 100.0F + 24);
  EXPECT_EQ(dataset.empty_pooled(), (std::vector<float>{0, 1, 2, 3, 4}));
}

TEST(BatchReader, MixesBucketsButNotWithinABatch) {
  const Folder folder;
  write_shard(folder / "a.h5", make_content(1, 20, Shape{4, 6, 5}));
  write_shard(folder / "b.h5", make_content(2, 12, Shape{4, 3, 2}));
  const auto dataset = Dataset::open(folder.path());
  ASSERT_EQ(dataset.info().buckets.size(), 2U);
  BatchReader reader(dataset, options_for(1, 2, 4));
  int small = 0;
  for (int step = 0; step < 16; ++step) {
    const Batch& batch = reader.next();
    for (const auto id : batch.sample_ids) EXPECT_EQ(dataset.bucket_of(id), batch.bucket);
    EXPECT_EQ(batch.latent_shape, batch.bucket == 0 ? (Shape{2, 4, 6, 5}) : (Shape{2, 4, 3, 2}));
    EXPECT_EQ(batch.rows.latents.size(), static_cast<std::size_t>(batch.latent_shape.count()));
    small += batch.bucket == 1 ? 1 : 0;
  }
  EXPECT_EQ(small, 6);  // 16 batches are two epochs, 3 of 8 batches are of the small bucket
  EXPECT_EQ(error_of([&] { (void)read_samples(dataset, std::vector<std::uint64_t>{0, 25}); }).first, Exit::BadConfig);
}

TEST(BatchReader, NamesTheDamagedSample) {
  const Folder folder;
  make_shards(folder.path(), {10, 10});
  make_manifest(folder.path());
  flip_bit(folder / "shard-1.h5", address_of(folder / "shard-1.h5", "latents") + 3 * 240 + 17, 2);
  const auto dataset = Dataset::open(folder.path());
  BatchReader reader(dataset, options_for(0, 1, 4));
  const auto [code, text] = error_of([&] {
    for (int i = 0; i < 5; ++i) (void)reader.next();
  });
  EXPECT_EQ(code, Exit::BadData);
  EXPECT_NE(text.find("shard-1.h5, row 3: checksum expected"), std::string::npos) << text;
  EXPECT_EQ(error_of([&] { (void)reader.next(); }).first, Exit::BadData) << "the error must stay";

  auto options = options_for(0, 1, 4);
  options.bad_sample = BadSample::Skip;
  BatchReader skipping(dataset, options);
  std::map<std::uint64_t, int> uses;
  for (int i = 0; i < 10; ++i)
    for (const auto id : skipping.next().sample_ids) ++uses[id];
  EXPECT_EQ(uses.count(13), 0U);
  EXPECT_EQ(uses[14], 4);  // its own two uses and those of sample 13, in two epochs
  EXPECT_GE(skipping.skipped(), 2U);

  flip_bit(folder / "shard-0.h5", address_of(folder / "shard-0.h5", "latents") + 17, 2);
  BatchReader beyond(dataset, options);
  const auto [second, limit] = error_of([&] {
    for (int i = 0; i < 5; ++i) (void)beyond.next();
  });
  EXPECT_EQ(second, Exit::BadData) << "two of twenty is more than the limit";
  EXPECT_NE(limit.find("more than 1 damaged"), std::string::npos) << limit;
}

TEST(BatchReader, NamesNaNAndDamagedPrompts) {
  const Folder folder;
  auto content = make_content(1, 5);
  content.latents[2 * 120 + 5] = std::nanf("");
  write_shard(folder / "a.h5", content);
  content = make_content(1, 5);
  content.prompts[21 * 2 + 1] = INFINITY;
  write_shard(folder / "b.h5", content);
  const auto check = [&](const std::string& name, std::uint64_t sample, const std::string& expected) {
    const auto dataset = Dataset::open(folder / name);
    const auto [code, text] = error_of([&] { (void)read_samples(dataset, std::vector<std::uint64_t>{sample}); });
    EXPECT_EQ(code, Exit::BadData);
    EXPECT_NE(text.find(expected), std::string::npos) << text;
  };
  check("a.h5", 2, "a.h5, row 2: the latent holds NaN");
  check("b.h5", 1, "b.h5, prompt row 2: the embedding holds NaN");
  flip_bit(folder / "b.h5", address_of(folder / "b.h5", "prompt_embeds") + 42, 1);
  check("b.h5", 0, "prompt row 1: checksum expected");
}

TEST(BatchReader, NoticesFilesThatChangeWhileRunning) {
  const Folder folder;
  make_shards(folder.path(), {50, 50});
  make_manifest(folder.path());
  const auto dataset = Dataset::open(folder.path());
  (void)read_samples(dataset, std::vector<std::uint64_t>{0});  // opens shard 0, not shard 1
  std::filesystem::resize_file(folder / "shard-0.h5", 5000);
  auto [code, text] = error_of([&] { (void)read_samples(dataset, std::vector<std::uint64_t>{49}); });
  EXPECT_EQ(code, Exit::BadData);
  EXPECT_NE(text.find("changed while running"), std::string::npos) << text;
  write_shard(folder / "shard-1.h5", make_content(77, 50));
  std::tie(code, text) = error_of([&] { (void)read_samples(dataset, std::vector<std::uint64_t>{50}); });
  EXPECT_EQ(code, Exit::BadData);
  EXPECT_NE(text.find("content_crc32c: expected"), std::string::npos) << text;
  std::filesystem::remove(folder / "shard-1.h5");
  EXPECT_EQ(error_of([&] { (void)read_samples(dataset, std::vector<std::uint64_t>{50}); }).first, Exit::MissingInput);
}

TEST(BatchReader, StopsInTheMiddleAndRefusesNonsense) {
  const Folder folder;
  make_shards(folder.path(), {50});
  const auto dataset = Dataset::open(folder.path());
  for (int i = 0; i < 20; ++i) {
    BatchReader reader(dataset, options_for(0, 1, 8));
    if (i % 2 == 0) (void)reader.next();
    EXPECT_GE(reader.wait_seconds(), 0.0);
  }
  auto options = options_for(0, 2, 8);
  options.total_batch_size = 9;
  EXPECT_EQ(error_of([&] { BatchReader reader(dataset, options); }).first, Exit::BadConfig);
  options = options_for(2, 2, 8);
  EXPECT_EQ(error_of([&] { BatchReader reader(dataset, options); }).first, Exit::BadConfig);
}

TEST(BatchReader, DeviationIsOfWhatTheModelSees) {
  const Folder folder;
  make_shards(folder.path(), {64});
  const auto dataset = Dataset::open(folder.path());
  BatchReader reader(dataset, options_for(0, 1, 64));
  EXPECT_NEAR(scaled_deviation(dataset.info(), reader.next()), 1.0, 0.05);  // 2 * 0.5
}

}  // namespace
}  // namespace ldmpi::data
