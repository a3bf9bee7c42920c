#include "fixture.h"
#include "ir/passes/passes.h"

namespace ldmpi::ir {
namespace {

using test::f32;
using test::find;

// Four gradients g0..g3, made in that order by nodes that are far apart.
struct Net {
  Graph graph;
  Value arena;
  Values gradients;
  Net() {
    const Builder b(graph);
    const auto x = b.input("x", f32({8}));
    arena = b.persistent(Arena::Gradients, -1, "arena", f32({64}));
    for (int i = 0; i < 4; ++i) {
      gradients.push_back(b.scale(x, static_cast<float>(i + 2)));
      graph.bind(gradients.back(), {Arena::Gradients, i});
      graph.output("y" + std::to_string(i), b.silu(x));
    }
  }
};

struct Start {
  StartCollective op;
  int behind;  // node of the source graph that stands right before the start
};

std::vector<Start> starts_of(const Graph& graph) {
  std::vector<Start> result;
  int nodes = 0;
  for (const auto& node : graph.nodes()) {
    if (const auto* start = std::get_if<StartCollective>(&node.op))
      result.push_back({*start, nodes - 1});
    else
      ++nodes;
  }
  return result;
}

TEST(StartCollectives, EachBucketStartsRightBehindTheNodeThatCompletesIt) {
  const Net net;
  const auto& g = net.gradients;
  const auto bucketed = start_collectives(net.graph, net.arena, CollectiveKind::ReduceScatter,
                                          {{0, 16, {g[1], g[0]}}, {16, 64, {g[3], g[2]}}});
  const auto starts = starts_of(bucketed.graph);
  ASSERT_EQ(starts.size(), 2U);
  EXPECT_EQ(starts[0].behind, net.graph.producer(g[1]));
  EXPECT_EQ(starts[1].behind, net.graph.producer(g[3]));
  EXPECT_EQ(starts[0].op.begin, 0);
  EXPECT_EQ(starts[0].op.end, 16);
  EXPECT_EQ(starts[1].op.begin, 16);
  EXPECT_EQ(starts[1].op.end, 64);
  EXPECT_EQ(starts[0].op.kind, CollectiveKind::ReduceScatter);
  ASSERT_EQ(bucketed.tokens.size(), 2U);
  EXPECT_EQ(bucketed.graph.bindings().size(), 4U);
  EXPECT_EQ(bucketed.graph.outputs().size(), 4U);
}

TEST(StartCollectives, StartsKeepTheOrderOfTheBucketsWhateverIsReadyFirst) {
  const Net net;
  const auto& g = net.gradients;
  const auto bucketed = start_collectives(net.graph, net.arena, CollectiveKind::AllReduce,
                                          {{0, 8, {g[2]}}, {8, 16, {g[0]}}, {16, 24, {}}, {24, 64, {g[3], g[1]}}});
  const auto starts = starts_of(bucketed.graph);
  ASSERT_EQ(starts.size(), 4U);
  const std::vector<int> behind{net.graph.producer(g[2]), net.graph.producer(g[2]), net.graph.producer(g[2]),
                                net.graph.producer(g[3])};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(starts[i].op.sequence, static_cast<int>(i));
    EXPECT_EQ(starts[i].behind, behind[i]) << i;
    const auto& node = bucketed.graph.nodes()[static_cast<std::size_t>(bucketed.graph.producer(bucketed.tokens[i]))];
    EXPECT_EQ(std::get<StartCollective>(node.op).sequence, static_cast<int>(i));
    EXPECT_TRUE(std::holds_alternative<Persistent>(
        bucketed.graph.nodes()[static_cast<std::size_t>(bucketed.graph.producer(node.inputs[0]))].op));
  }
  EXPECT_EQ(starts[3].op.end, 64);
}

}  // namespace
}  // namespace ldmpi::ir
