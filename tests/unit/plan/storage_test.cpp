#include "plan/storage.h"

#include <gtest/gtest.h>

#include "base/check.h"

namespace ldmpi::plan {
namespace {

// Blocks of odd sizes: frozen ones between trainable ones, decay changing inside buckets.
std::vector<BlockFacts> blocks() {
  std::vector<BlockFacts> facts;
  const std::int64_t sizes[] = {700, 1, 33, 320, 64, 5000, 31, 32, 96, 2, 1280, 17, 640};
  for (std::size_t i = 0; i < std::size(sizes); ++i)
    facts.push_back({Shape{sizes[i]}, i % 4 != 2, i % 3 != 1, sizes[i]});
  return facts;
}

class Storage : public ::testing::TestWithParam<std::tuple<int, std::int64_t>> {
 protected:
  const std::vector<BlockFacts> facts_ = blocks();
  const int shards_ = std::get<0>(GetParam());
  const ParameterStorage storage_ = make_storage(facts_, std::get<1>(GetParam()), shards_);
};

TEST_P(Storage, BlocksAreApartAndAlignedFrozenOnesBehind) {
  std::vector<int> owner(static_cast<std::size_t>(storage_.total), -1);
  for (std::size_t b = 0; b < facts_.size(); ++b) {
    const auto& run = storage_.blocks[b];
    EXPECT_EQ(run.size(), facts_[b].elements);
    EXPECT_EQ(run.begin % 32, 0);
    if (facts_[b].trainable)
      EXPECT_LE(run.end, storage_.trainable);
    else
      EXPECT_GE(run.begin, storage_.trainable);
    ASSERT_LE(run.end, storage_.total);
    for (auto i = run.begin; i < run.end; ++i) {
      EXPECT_EQ(owner[static_cast<std::size_t>(i)], -1) << "element " << i << " of block " << b;
      owner[static_cast<std::size_t>(i)] = static_cast<int>(b);
    }
  }
}

TEST_P(Storage, BucketsTileTheTrainablePartAndDivideByTheShards) {
  std::int64_t at = 0;
  for (const auto& bucket : storage_.buckets) {
    EXPECT_EQ(bucket.begin, at);
    EXPECT_GT(bucket.end, bucket.begin);
    EXPECT_EQ(bucket.size() % (32 * shards_), 0);
    at = bucket.end;
  }
  EXPECT_EQ(at, storage_.trainable);
  EXPECT_EQ(storage_.shard_elements() * shards_, storage_.trainable);
  for (std::size_t b = 0; b < facts_.size(); ++b) {
    if (!facts_[b].trainable) continue;
    int holders = 0;
    for (const auto& bucket : storage_.buckets)
      holders += storage_.blocks[b].begin >= bucket.begin && storage_.blocks[b].end <= bucket.end ? 1 : 0;
    EXPECT_EQ(holders, 1) << "block " << b << " is in one bucket as a whole";
  }
}

TEST_P(Storage, TheBackwardPassCompletesBlocksFromTheLastToTheFirst) {
  std::int64_t at = storage_.trainable;
  for (std::size_t b = 0; b < facts_.size(); ++b) {
    if (!facts_[b].trainable) continue;
    EXPECT_LT(storage_.blocks[b].begin, at);
    at = storage_.blocks[b].begin;
  }
  EXPECT_EQ(at, 0);
}

TEST_P(Storage, OwnedPartsTileEachBucketInRankOrder) {
  for (std::size_t b = 0; b < storage_.buckets.size(); ++b) {
    auto at = storage_.buckets[b].begin;
    for (int rank = 0; rank < shards_; ++rank) {
      const auto part = storage_.owned(b, rank);
      EXPECT_EQ(part.begin, at);
      EXPECT_EQ(part.size(), storage_.buckets[b].size() / shards_);
      at = part.end;
    }
    EXPECT_EQ(at, storage_.buckets[b].end);
  }
}

TEST_P(Storage, RangesUpdateEachElementOnceWithItsDecayAndNumber) {
  std::vector<int> decay(static_cast<std::size_t>(storage_.trainable), -1);  // -1: padding
  for (std::size_t b = 0; b < facts_.size(); ++b)
    if (facts_[b].trainable)
      for (auto i = storage_.blocks[b].begin; i < storage_.blocks[b].end; ++i)
        decay[static_cast<std::size_t>(i)] = facts_[b].decay ? 1 : 0;
  for (const bool master_is_weights : {true, false}) {
    std::vector<int> updates(static_cast<std::size_t>(storage_.trainable), 0);
    for (int rank = 0; rank < shards_; ++rank) {
      std::int64_t local = 0;
      for (const auto& range : storage_.ranges(facts_, rank, master_is_weights)) {
        EXPECT_LT(range.begin, range.end);
        EXPECT_EQ(range.moment_begin, local) << "the rank's own elements are numbered without gaps";
        EXPECT_EQ(range.master_begin, master_is_weights ? range.begin : local);
        local += range.end - range.begin;
        for (auto i = range.begin; i < range.end; ++i) {
          ++updates.at(static_cast<std::size_t>(i));
          const int expected = decay[static_cast<std::size_t>(i)];
          if (expected >= 0) {
            ASSERT_EQ(range.decay, expected == 1) << "element " << i;
          }
          bool mine = false;
          for (std::size_t b = 0; b < storage_.buckets.size(); ++b) {
            const auto part = storage_.owned(b, rank);
            mine = mine || (i >= part.begin && i < part.end);
          }
          ASSERT_TRUE(mine) << "rank " << rank << " updates element " << i << " of another";
        }
      }
      EXPECT_EQ(local, storage_.shard_elements());
    }
    for (std::size_t i = 0; i < updates.size(); ++i) ASSERT_EQ(updates[i], 1) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(ShardsAndBuckets, Storage,
                         ::testing::Combine(::testing::Values(1, 2, 3, 4), ::testing::Values(1, 400, 3000, 1 << 30)));

TEST(StorageLimits, NothingTrainableGivesNoBucket) {
  const std::vector<BlockFacts> facts{{Shape{10}, false, true, 10}, {Shape{20}, false, true, 20}};
  const auto storage = make_storage(facts, 100, 2);
  EXPECT_EQ(storage.trainable, 0);
  EXPECT_TRUE(storage.buckets.empty());
  EXPECT_TRUE(storage.ranges(facts, 1, false).empty());
  EXPECT_GE(storage.total, 30);
  EXPECT_THROW((void)make_storage(facts, 0, 1), Error);
  EXPECT_THROW((void)make_storage(facts, 1, 0), Error);
}

}  // namespace
}  // namespace ldmpi::plan
