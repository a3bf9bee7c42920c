#include "fixture.h"
#include "ir/differentiate.h"
#include "ir/passes/passes.h"

namespace ldmpi::ir {
namespace {

using test::f32;
using test::find;

// x -> scale -> silu -> silu -> loss, differentiated with respect to x.
struct Net {
  Graph graph;
  Net() {
    const Builder b(graph);
    const auto x = b.input("x", f32({1, 4, 2, 2}));
    const auto seed = b.input("seed", f32({1}));
    const auto loss = test::mean_square(b, b.silu(b.silu(b.scale(x, 2))));
    graph.output("loss", loss);
    graph.bind(differentiate(graph, loss, seed, Values{x})[0], {Arena::Gradients, 0});
  }
};

TEST(Recompute, NothingChosenChangesNothing) {
  const Net net;
  const auto same = recompute(net.graph, {});
  ASSERT_EQ(same.nodes().size(), net.graph.nodes().size());
  for (std::size_t n = 0; n < same.nodes().size(); ++n) {
    EXPECT_TRUE(same.nodes()[n].op == net.graph.nodes()[n].op) << n;
    EXPECT_EQ(same.nodes()[n].inputs, net.graph.nodes()[n].inputs) << n;
  }
}

TEST(Recompute, ClonesStandInTheBackwardPassBeforeTheirFirstReader) {
  const Net net;
  const auto silus = find<Unary>(net.graph);
  const auto scales = find<Scale>(net.graph);
  ASSERT_EQ(silus.size(), 2U);
  const int first = silus[0];
  const auto again = recompute(net.graph, {scales[0], first});
  EXPECT_EQ(again.nodes().size(), net.graph.nodes().size() + 2);

  const auto clones = find<Unary>(again);
  ASSERT_EQ(clones.size(), 3U);
  const auto& clone = again.nodes()[static_cast<std::size_t>(clones[2])];
  EXPECT_EQ(clone.phase, Phase::Backward);
  const auto& source = again.nodes()[static_cast<std::size_t>(again.producer(clone.inputs[0]))];
  EXPECT_TRUE(std::holds_alternative<Scale>(source.op)) << "a clone reads the clones of what was not kept either";
  EXPECT_EQ(source.phase, Phase::Backward);

  // In the backward pass nobody reads the dropped results, and each clone stands before its readers.
  const auto original = again.nodes()[static_cast<std::size_t>(clones[0])].outputs[0];
  bool read = false;
  for (std::size_t n = 0; n < again.nodes().size(); ++n)
    for (auto input : again.nodes()[n].inputs) {
      if (again.nodes()[n].phase == Phase::Backward) {
        EXPECT_NE(input, original) << n;
      }
      if (input == clone.outputs[0]) {
        read = true;
        EXPECT_GT(static_cast<int>(n), clones[2]);
      }
    }
  EXPECT_TRUE(read);
}

TEST(Recompute, OutputsAndBindingsStay) {
  const Net net;
  const auto again = recompute(net.graph, {find<Unary>(net.graph)[0]});
  ASSERT_EQ(again.outputs().size(), 1U);
  EXPECT_EQ(again.bindings().size(), 1U);
  EXPECT_TRUE(std::holds_alternative<WeightedMse>(
      again.nodes()[static_cast<std::size_t>(again.producer(again.outputs().at("loss")))].op));
}

TEST(Recompute, AChosenNodeThatNobodyNeedsAgainIsNotCloned) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({1, 4, 2, 2}));
  const auto seed = b.input("seed", f32({1}));
  graph.output("loss", test::mean_square(b, b.scale(b.scale(x, 2), 3)));
  graph.bind(differentiate(graph, graph.outputs().at("loss"), seed, Values{x})[0], {Arena::Gradients, 0});
  EXPECT_EQ(recompute(graph, {graph.producer(x) + 2}).nodes().size(), graph.nodes().size())
      << "the gradient of a scale reads no result";
}

TEST(MayRecompute, OnlyForwardNodesThatAreDeterministicAndDifferentiable) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({2, 4}));
  const auto y = b.silu(x);
  graph.set_phase(Phase::Backward);
  const auto z = b.silu(y);
  auto node = [&](Value v) { return graph.nodes()[static_cast<std::size_t>(graph.producer(v))]; };
  EXPECT_FALSE(may_recompute(node(x)));
  EXPECT_TRUE(may_recompute(node(y)));
  EXPECT_FALSE(may_recompute(node(z)));
}

}  // namespace
}  // namespace ldmpi::ir
