#include "fixture.h"
#include "ir/passes/passes.h"

namespace ldmpi::ir {
namespace {

using test::count;
using test::f32;
using test::f64;

TEST(MergeEqual, EqualOpsOnEqualInputsBecomeOne) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({2, 4}));
  graph.output("y", b.add(b.scale(b.silu(x), 2), b.scale(b.silu(x), 2)));
  const auto merged = merge_equal(graph);
  EXPECT_EQ(count<Unary>(merged), 1U);
  EXPECT_EQ(count<Scale>(merged), 1U);
  const auto& add = merged.nodes().back();
  EXPECT_EQ(add.inputs[0], add.inputs[1]);
}

TEST(MergeEqual, AttributesAndOrderOfInputsCount) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({2, 2}));
  const auto y = b.input("y", f32({2, 2}));
  graph.output("a", b.scale(x, 2));
  graph.output("b", b.scale(x, 3));
  graph.output("c", b.matmul(x, y, false, false));
  graph.output("d", b.matmul(y, x, false, false));
  graph.output("e", b.matmul(x, y, true, false));
  const auto merged = merge_equal(graph);
  EXPECT_EQ(count<Scale>(merged), 2U);
  EXPECT_EQ(count<MatMul>(merged), 3U);
}

TEST(MergeEqual, BoundValuesKeepTheirOwnStorage) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({2, 4}));
  const auto one = b.sum_rows(x);
  const auto two = b.sum_rows(x);
  graph.bind(one, {Arena::Gradients, 0});
  graph.bind(two, {Arena::Gradients, 1});
  const auto merged = merge_equal(graph);
  EXPECT_EQ(count<SumRows>(merged), 2U);
  EXPECT_EQ(merged.bindings().size(), 2U);
}

// A read, a write and the same read again, of the handles that are given.
std::size_t reads_left(const std::function<Value(const Builder&)>& reader,
                       const std::function<Value(const Builder&)>& writer, bool write) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({8}));
  const auto before = graph.add1(SumSquares{}, {reader(b)});
  if (write) (void)graph.add(Accumulate{}, {writer(b), x});
  const auto after = graph.add1(SumSquares{}, {reader(b)});
  graph.output("before", before);
  graph.output("after", after);
  return count<SumSquares>(merge_equal(graph));
}

TEST(MergeEqual, AReadDoesNotCrossAWriteOfItsMemory) {
  auto block = [](const Builder& b) { return b.persistent(Arena::Gradients, 0, "slot", f32({8})); };
  auto whole = [](const Builder& b) { return b.persistent(Arena::Gradients, -1, "arena", f32({64})); };
  auto view = [&](const Builder& b) { return b.reshape(block(b), {2, 4}); };
  auto elsewhere = [](const Builder& b) { return b.persistent(Arena::Ema, 0, "ema", f32({8})); };
  EXPECT_EQ(reads_left(block, block, false), 1U);
  EXPECT_EQ(reads_left(block, block, true), 2U) << "another handle of the same slot";
  EXPECT_EQ(reads_left(whole, block, true), 2U) << "the arena that holds the slot";
  EXPECT_EQ(reads_left(view, block, true), 2U) << "a view of the slot";
  EXPECT_EQ(reads_left(block, elsewhere, true), 1U) << "a write elsewhere is no obstacle";
}

TEST(MergeEqual, AReadDoesNotCrossAWriteOfABoundValue) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({2, 8}));
  const auto arena = b.persistent(Arena::Gradients, -1, "arena", f32({64}));
  graph.output("before", graph.add1(SumSquares{}, {arena}));
  graph.bind(b.sum_rows(x), {Arena::Gradients, 0});
  graph.output("after", graph.add1(SumSquares{}, {arena}));
  EXPECT_EQ(count<SumSquares>(merge_equal(graph)), 2U);
}

TEST(MergeEqual, CollectivesAndMarksStay) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f64({1}));
  for (int i = 0; i < 2; ++i) {
    (void)graph.add(Mark{Phase::Forward}, {});
    graph.output("sum" + std::to_string(i), graph.add1(SumRanks{0}, {x}));
  }
  const auto merged = merge_equal(graph);
  EXPECT_EQ(count<SumRanks>(merged), 2U);
  EXPECT_EQ(count<Mark>(merged), 2U);
}

TEST(RemoveDead, DropsWhatNobodyNeeds) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({2, 4}));
  const auto unused = b.input("unused", f32({2, 4}));
  (void)b.silu(b.scale(unused, 2));
  graph.output("y", b.scale(x, 3));
  const auto left = remove_dead(graph);
  EXPECT_EQ(left.nodes().size(), 2U);
  EXPECT_EQ(count<Input>(left), 1U);
  EXPECT_EQ(count<Unary>(left), 0U);
}

TEST(RemoveDead, KeepsWritesMarksCollectivesBindingsAndWhatTheyRead) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({8}));
  const auto slot = b.persistent(Arena::Gradients, 0, "slot", f32({8}));
  const auto arena = b.persistent(Arena::Gradients, -1, "arena", f32({64}));
  (void)graph.add(Mark{Phase::Backward}, {});
  (void)graph.add(Accumulate{}, {slot, b.scale(x, 2)});
  graph.bind(b.scale(x, 3), {Arena::Gradients, 1});
  const auto token = graph.add1(StartCollective{CollectiveKind::AllReduce, 0, 64, 0}, {arena});
  (void)graph.add(WaitCollective{0}, {token});
  (void)graph.add(SumRanks{0}, {b.scale(x, 4)});
  (void)b.scale(x, 5);
  const auto left = remove_dead(graph);
  EXPECT_EQ(left.nodes().size() + 1, graph.nodes().size());
  EXPECT_EQ(count<Scale>(left), 3U);
  EXPECT_EQ(count<Mark>(left), 1U);
  EXPECT_EQ(count<Accumulate>(left), 1U);
  EXPECT_EQ(count<StartCollective>(left), 1U);
  EXPECT_EQ(count<WaitCollective>(left), 1U);
  EXPECT_EQ(count<SumRanks>(left), 1U);
  EXPECT_EQ(left.bindings().size(), 1U);
}

}  // namespace
}  // namespace ldmpi::ir
