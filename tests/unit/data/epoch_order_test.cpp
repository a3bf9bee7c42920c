#include "data/epoch_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "base/check.h"

namespace ldmpi::data {
namespace {

std::vector<std::uint64_t> stream(EpochOrder& order, std::uint64_t batch, std::uint64_t batches,
                                  std::uint64_t from = 0) {
  std::vector<std::uint64_t> ids;
  for (std::uint64_t i = from; i < from + batches; ++i) {
    const auto global = order.at(i * batch);
    EXPECT_EQ(global.ids.size(), batch);
    ids.insert(ids.end(), global.ids.begin(), global.ids.end());
  }
  return ids;
}

TEST(EpochOrder, EveryEpochIsAPermutationAndNothingIsDropped) {
  // Two shards of one bucket, longer than a window of 8192 samples; 7 does not divide the epoch.
  const std::vector<Segment> segments{{0, 0, 9001}, {0, 9001, 1002}};
  constexpr std::uint64_t kSamples = 10003;
  EpochOrder order(3, 7, segments);
  const auto ids = stream(order, 7, kSamples);  // exactly seven epochs
  std::vector<std::uint64_t> first;
  for (std::uint64_t epoch = 0; epoch < 7; ++epoch) {
    std::vector<std::uint64_t> part(ids.begin() + static_cast<std::ptrdiff_t>(epoch * kSamples),
                                    ids.begin() + static_cast<std::ptrdiff_t>((epoch + 1) * kSamples));
    if (epoch == 0)
      first = part;
    else
      EXPECT_NE(part, first) << "epoch " << epoch << " repeats the first order";
    std::ranges::sort(part);
    for (std::uint64_t i = 0; i < kSamples; ++i) ASSERT_EQ(part[i], i) << "epoch " << epoch;
  }
}

TEST(EpochOrder, IsShuffledFar) {
  const std::vector<Segment> segments{{0, 0, 4096}};
  EpochOrder order(1, 64, segments);
  const auto ids = stream(order, 64, 64);
  int neighbours = 0;
  double distance = 0;
  for (std::size_t i = 1; i < ids.size(); ++i) {
    neighbours += ids[i] == ids[i - 1] + 1 ? 1 : 0;
    distance += std::abs(static_cast<double>(ids[i]) - static_cast<double>(ids[i - 1]));
  }
  EXPECT_LT(neighbours, 16);                                    // about 1 expected
  EXPECT_NEAR(distance / 4095.0, 4096.0 / 3.0, 4096.0 / 20.0);  // of uniform pairs: a third of the range
}

TEST(EpochOrder, IsAPureFunctionOfTheCursor) {
  const std::vector<Segment> segments{{0, 0, 100}, {1, 100, 57}, {0, 157, 33}};
  constexpr std::uint64_t kBatch = 8;
  EpochOrder straight(9, kBatch, segments);
  std::vector<GlobalBatch> all;
  for (std::uint64_t i = 0; i < 200; ++i) all.push_back(straight.at(i * kBatch));
  // First step, mid-epoch, around the ends of epochs 0 and 1 (190 samples, 23 or 24 batches), and later; backwards too.
  for (const std::uint64_t start : {0, 11, 22, 23, 24, 46, 47, 48, 150, 5}) {
    EpochOrder resumed(9, kBatch, segments);
    for (std::uint64_t i = start; i < std::min<std::uint64_t>(start + 30, 200); ++i) {
      const auto batch = resumed.at(i * kBatch);
      EXPECT_EQ(batch.ids, all[i].ids) << "from " << start << " at " << i;
      EXPECT_EQ(batch.epoch, all[i].epoch);
      EXPECT_EQ(batch.bucket, all[i].bucket);
    }
  }
  EpochOrder other(10, kBatch, segments);
  EXPECT_NE(other.at(0).ids, all[0].ids);
}

TEST(EpochOrder, BatchesHaveOneShapeAndBucketsTakeTurns) {
  const std::vector<Segment> segments{{0, 0, 100}, {1, 100, 57}, {0, 157, 33}, {2, 190, 3}};
  EpochOrder order(5, 8, segments);
  std::map<std::uint64_t, int> uses;
  std::set<std::size_t> buckets;
  // 8 epochs are a whole number of batches in every bucket.
  for (std::uint64_t i = 0; i < order.batches_before(8); ++i) {
    const auto batch = order.at(i * 8);
    buckets.insert(batch.bucket);
    for (const auto id : batch.ids) {
      const std::size_t bucket = id < 100 || (id >= 157 && id < 190) ? 0 : id < 157 ? 1 : 2;
      ASSERT_EQ(bucket, batch.bucket);
      ++uses[id];
    }
  }
  EXPECT_EQ(buckets.size(), 3U);
  EXPECT_EQ(uses.size(), 193U);
  for (const auto& [id, count] : uses) EXPECT_EQ(count, 8) << id;  // the bucket of 3 too, though smaller than a batch
}

TEST(EpochOrder, SmallSetsWrapAround) {
  const std::vector<Segment> segments{{0, 0, 5}};
  EpochOrder order(2, 16, segments);
  std::map<std::uint64_t, int> uses;
  for (std::uint64_t i = 0; i < 5; ++i)
    for (const auto id : order.at(i * 16).ids) ++uses[id];
  ASSERT_EQ(uses.size(), 5U);
  for (const auto& [id, count] : uses) EXPECT_EQ(count, 16) << id;
  EXPECT_EQ(order.epoch_of(0), 3U);  // the first batch ends in the fourth epoch
}

TEST(EpochOrder, FarCursorsAreReachedAtOnce) {
  const std::vector<Segment> segments{{0, 0, 1000}, {1, 1000, 999}};
  EpochOrder order(2, 64, segments);
  const std::uint64_t cursor = 64ULL * 1'000'000'000'000ULL;
  const auto batch = order.at(cursor);
  EXPECT_EQ(batch.ids.size(), 64U);
  EXPECT_LE(order.batches_before(batch.epoch), cursor / 64);
  EXPECT_GT(order.batches_before(batch.epoch + 1), cursor / 64);
}

TEST(EpochOrder, RefusesNothingToRead) {
  EXPECT_THROW(EpochOrder(1, 4, std::vector<Segment>{}), Error);
  EXPECT_THROW(EpochOrder(1, 0, std::vector<Segment>{{0, 0, 5}}), Error);
}

}  // namespace
}  // namespace ldmpi::data
