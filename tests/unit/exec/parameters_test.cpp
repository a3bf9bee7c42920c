#include "exec/parameters.h"

#include <algorithm>
#include <iterator>

#include "fixture.h"

namespace ldmpi::exec {
namespace {

std::span<const float> part_of(const std::vector<float>& values, const plan::Run& run) {
  return std::span(values).subspan(static_cast<std::size_t>(run.begin), static_cast<std::size_t>(run.size()));
}

TEST(Parameters, RunsOfElementsGoUpAndComeDownInTheTypeOfTheArena) {
  test::Machine machine;
  for (auto dtype : {DType::F32, DType::BF16}) {
    const auto storage = test::storage({100, 200'000});  // more than is converted at once
    ir::Graph graph;
    const ir::Builder b(graph);
    graph.output("y", b.scale(b.persistent(ir::Arena::Weights, 1, "w", {dtype, {200'000}}), 2));
    ProgramSet set(*machine.lowering, storage);
    (void)set.add("p", graph);
    set.compile();
    set.bind(*machine.device, *machine.communicator);
    std::vector<float> values(150'000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 251);  // exact in bf16
    upload(set, *machine.device, ir::Arena::Weights, 1000, values, dtype);
    std::vector<float> whole(static_cast<std::size_t>(storage.total), -1.0F);
    download(set, *machine.device, ir::Arena::Weights, 0, whole, dtype);
    for (std::size_t i = 0; i < whole.size(); ++i)
      ASSERT_EQ(whole[i], i < 1000 || i >= 151'000 ? 0.0F : values[i - 1000]) << i;
    EXPECT_THROW(upload(set, *machine.device, ir::Arena::Moment1, 0, values, DType::F32), Error);
  }
}

TEST(Parameters, ShardsOfAllRanksAreTheWhole) {
  const std::vector<std::int64_t> sizes{100, 700, 33, 260, 1000};
  std::vector<plan::BlockFacts> facts;
  for (auto size : sizes) facts.push_back({Shape{size}, true, true, size});
  for (const int shards : {1, 2, 3}) {
    const auto storage = plan::make_storage(facts, 500, shards);
    const auto full = test::rising(static_cast<std::size_t>(storage.trainable));
    std::vector<int> owners(full.size(), 0);
    for (int rank = 0; rank < shards; ++rank) {
      // The sharded arena of the rank, as its owner numbers it.
      std::vector<float> arena;
      for (std::size_t bucket = 0; bucket < storage.buckets.size(); ++bucket)
        std::ranges::copy(part_of(full, storage.owned(bucket, rank)), std::back_inserter(arena));
      ASSERT_EQ(std::ssize(arena), storage.shard_elements());
      for (const auto& block : storage.blocks) {
        const auto part = shard_part(storage, rank, block);
        ASSERT_GE(part.run.begin, block.begin);
        ASSERT_LE(part.run.end, block.end);
        for (auto i = part.run.begin; i < part.run.end; ++i) {
          ++owners[static_cast<std::size_t>(i)];
          ASSERT_EQ(arena.at(static_cast<std::size_t>(part.local + i - part.run.begin)),
                    full[static_cast<std::size_t>(i)])
              << "element " << i << " of " << shards << " shards";
        }
      }
    }
    for (const auto& block : storage.blocks)
      for (auto i = block.begin; i < block.end; ++i) EXPECT_EQ(owners[static_cast<std::size_t>(i)], 1) << i;
  }
}

TEST(Parameters, ARunOverTwoBucketsIsRefused) {
  const auto storage = plan::make_storage(std::vector<plan::BlockFacts>(2, {Shape{64}, true, true, 64}), 64, 1);
  ASSERT_EQ(storage.buckets.size(), 2U);
  EXPECT_THROW((void)shard_part(storage, 0, {32, 96}), Error);
  EXPECT_THROW((void)shard_part(storage, 0, {128, 129}), Error);
}

TEST(Parameters, AloneTheGatheredBucketIsItsPartOfTheArena) {
  test::Machine machine;
  const auto storage = test::storage({100, 64});
  ir::Graph graph;
  const ir::Builder b(graph);
  graph.output("y", b.scale(b.persistent(ir::Arena::Ema, -1, "ema", {DType::F32, {storage.trainable}}), 1));
  ProgramSet set(*machine.lowering, storage);
  (void)set.add("p", graph);
  set.compile();
  set.bind(*machine.device, *machine.communicator);
  const auto values = test::rising(static_cast<std::size_t>(storage.trainable));
  upload(set, *machine.device, ir::Arena::Ema, 0, values, DType::F32);
  for (std::size_t bucket = 0; bucket < storage.buckets.size(); ++bucket) {
    const auto gathered = gather_bucket(set, *machine.device, *machine.communicator, ir::Arena::Ema, bucket);
    EXPECT_TRUE(std::ranges::equal(gathered, part_of(values, storage.buckets[bucket])));
  }
}

}  // namespace
}  // namespace ldmpi::exec
