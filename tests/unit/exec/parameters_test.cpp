#include "exec/parameters.h"

#include "fixture.h"

namespace ldmpi::exec {
namespace {

TEST(Parameters, TheBorderReadsBackWhatItWroteIntoItsBlockOnly) {
  const test::Machine machine;
  const Shape convolution{6, 5, 3, 3};
  const auto elements = machine.lowering->weight_layout(convolution).elements;
  const std::vector<plan::BlockFacts> facts{{Shape{7}, true, true, 7}, {convolution, true, true, elements}};
  const auto storage = plan::make_storage(facts, 1 << 20, 1);
  const ParameterBorder border(*machine.lowering, {{Shape{7}, storage.blocks[0]}, {convolution, storage.blocks[1]}});
  EXPECT_EQ(border.count(1), 6 * 5 * 9);
  std::vector<float> flat(static_cast<std::size_t>(storage.total), 0.0F);
  const auto vector = test::rising(7);
  const auto kernel = test::rising(6 * 5 * 9, 100);
  border.write(0, vector, flat);
  border.write(1, kernel, flat);
  std::vector<float> vector_back(7);
  std::vector<float> kernel_back(kernel.size());
  border.read(0, flat, vector_back);
  border.read(1, flat, kernel_back);
  EXPECT_EQ(vector_back, vector);
  EXPECT_EQ(kernel_back, kernel);
  for (std::int64_t i = 0; i < storage.total; ++i) {
    bool inside = false;
    for (const auto& run : storage.blocks) inside = inside || (i >= run.begin && i < run.end);
    EXPECT_TRUE(inside || flat[static_cast<std::size_t>(i)] == 0.0F) << i;
  }
}

TEST(Parameters, ArenasGoUpAndComeDownInTheirType) {
  test::Machine machine;
  for (auto dtype : {DType::F32, DType::BF16}) {
    const auto storage = test::storage({100, 64});
    ir::Graph graph;
    const ir::Builder b(graph);
    graph.output("y", b.scale(b.persistent(ir::Arena::Weights, 1, "w", {dtype, {64}}), 2));
    ProgramSet set(*machine.lowering, storage);
    (void)set.add("p", graph);
    set.compile();
    set.bind(*machine.device, *machine.communicator);
    auto values = test::rising(static_cast<std::size_t>(storage.total));  // whole numbers below 256: exact in bf16
    upload_arena(set, *machine.device, ir::Arena::Weights, values, dtype);
    EXPECT_EQ(download_arena(set, *machine.device, ir::Arena::Weights, storage.total, dtype), values);
  }
}

TEST(Parameters, ShardsOfAllRanksAreTheWhole) {
  std::vector<plan::BlockFacts> facts;
  for (std::int64_t size : {100, 700, 33, 260, 1000}) facts.push_back({Shape{size}, true, true, size});
  for (const int shards : {1, 2, 3}) {
    const auto storage = plan::make_storage(facts, 500, shards);
    const auto full = test::rising(static_cast<std::size_t>(storage.trainable));
    std::vector<float> joined(full.size(), 0.0F);
    for (int rank = 0; rank < shards; ++rank) {
      const auto mine = take_shard(storage, rank, full);
      ASSERT_EQ(static_cast<std::int64_t>(mine.size()), storage.shard_elements());
      std::int64_t local = 0;
      for (std::size_t bucket = 0; bucket < storage.buckets.size(); ++bucket) {
        const auto part = storage.owned(bucket, rank);
        for (auto i = part.begin; i < part.end; ++i)
          joined[static_cast<std::size_t>(i)] = mine[static_cast<std::size_t>(local++)];
      }
    }
    EXPECT_EQ(joined, full) << shards;
  }
}

TEST(Parameters, AloneTheGatheredShardIsTheOwnCopy) {
  test::Machine machine;
  const auto storage = test::storage({100, 64});
  const auto mine = test::rising(static_cast<std::size_t>(storage.trainable));
  EXPECT_EQ(gather_shards(storage, *machine.communicator, mine), mine);
}

}  // namespace
}  // namespace ldmpi::exec
