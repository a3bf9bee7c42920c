#include "ir/differentiate.h"

#include "fixture.h"

namespace ldmpi::ir {
namespace {

using test::count;
using test::f32;
using test::find;

// conv -> group norm -> silu -> conv -> loss, on an input image.
struct Net {
  Graph graph;
  Builder b{graph};
  Value x = b.input("x", f32({2, 4, 8, 8}));
  Value w1 = weight(0, {8, 4, 3, 3});
  Value b1 = b.persistent(Arena::Weights, 1, "b1", f32({8}));
  Value gamma = b.persistent(Arena::Weights, 2, "gamma", f32({8}));
  Value beta = b.persistent(Arena::Weights, 3, "beta", f32({8}));
  Value w2 = weight(4, {4, 8, 3, 3});
  Value loss;
  Value seed = b.input("seed", f32({1}));

  Net() {
    const auto hidden = b.silu(b.group_norm(b.conv2d(x, w1, b1, {}), gamma, beta, {.groups = 4}));
    loss = test::mean_square(b, b.conv2d(hidden, w2, {}, {}));
  }
  Value weight(int block, Shape shape) const {
    return b.persistent(Arena::Weights, block, "w", {DType::F32, shape, 0, Layout::Parameter});
  }
};

TEST(Differentiate, EveryGradientHasTheTypeOfItsTarget) {
  Net net;
  const Values targets{net.w1, net.b1, net.gamma, net.beta, net.w2, net.x};
  const auto gradients = differentiate(net.graph, net.loss, net.seed, targets);
  ASSERT_EQ(gradients.size(), targets.size());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    ASSERT_TRUE(gradients[i]) << i;
    EXPECT_EQ(net.graph.type(gradients[i]), net.graph.type(targets[i])) << i;
  }
}

TEST(Differentiate, AppendsBehindTheForwardPassInBackwardPhase) {
  Net net;
  const auto forward = net.graph.nodes().size();
  (void)differentiate(net.graph, net.loss, net.seed, Values{net.w1});
  ASSERT_GT(net.graph.nodes().size(), forward);
  for (std::size_t n = 0; n < net.graph.nodes().size(); ++n)
    EXPECT_EQ(net.graph.nodes()[n].phase, n < forward ? Phase::Forward : Phase::Backward) << n;
}

TEST(Differentiate, OnlyWhatTheTargetsNeedIsAppended) {
  Net net;
  const auto forward = net.graph.nodes().size();
  const auto gradients = differentiate(net.graph, net.loss, net.seed, Values{net.w2});
  EXPECT_TRUE(gradients[0]);
  // The loss's gradient and the weight's: nothing of the layers before.
  EXPECT_EQ(net.graph.nodes().size(), forward + 2);
  EXPECT_EQ(count<WeightedMseGrad>(net.graph), 1U);
  EXPECT_EQ(count<Conv2dWeightGrad>(net.graph), 1U);
  EXPECT_EQ(count<Conv2dInputGrad>(net.graph), 0U);
}

TEST(Differentiate, AFrozenParameterAddsNoNode) {
  Net all;
  Net frozen;
  (void)differentiate(all.graph, all.loss, all.seed, Values{all.w1, all.b1, all.gamma, all.beta, all.w2});
  (void)differentiate(frozen.graph, frozen.loss, frozen.seed, Values{frozen.b1, frozen.gamma, frozen.beta, frozen.w2});
  EXPECT_EQ(count<Conv2dWeightGrad>(all.graph), 2U);
  EXPECT_EQ(count<Conv2dWeightGrad>(frozen.graph), 1U);
  EXPECT_EQ(frozen.graph.nodes().size() + 1, all.graph.nodes().size());
  EXPECT_EQ(count<Conv2dInputGrad>(all.graph), 1U) << "nobody wants the image's gradient";
}

TEST(Differentiate, ATargetBesideTheLossGetsNoValue) {
  Net net;
  const auto other = net.b.persistent(Arena::Weights, 9, "other", f32({3}));
  const auto gradients = differentiate(net.graph, net.loss, net.seed, Values{other, net.w2});
  EXPECT_FALSE(gradients[0]);
  EXPECT_TRUE(gradients[1]);
}

TEST(Differentiate, AdjointsOfSeveralReadersAreAdded) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({1, 2, 2, 2}));
  const auto seed = b.input("seed", f32({1}));
  const auto loss = test::mean_square(b, b.add(b.scale(x, 2), b.scale(x, 3)));
  const auto adds = count<Add>(graph);
  const auto gradient = differentiate(graph, loss, seed, Values{x})[0];
  EXPECT_EQ(count<Add>(graph), adds + 1);
  EXPECT_TRUE(std::holds_alternative<Add>(graph.nodes()[static_cast<std::size_t>(graph.producer(gradient))].op));
}

TEST(Differentiate, ConcatBecomesASplitInTheSameOrder) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({1, 2, 2, 2}));
  const auto y = b.input("y", f32({1, 6, 2, 2}));
  const auto seed = b.input("seed", f32({1}));
  const auto loss = test::mean_square(b, b.concat({x, y}));
  const auto gradients = differentiate(graph, loss, seed, Values{y, x});
  const auto splits = find<Split>(graph);
  ASSERT_EQ(splits.size(), 1U);
  const auto& split = graph.nodes()[static_cast<std::size_t>(splits[0])];
  EXPECT_EQ(std::get<Split>(split.op).sizes, (std::vector<std::int64_t>{2, 6}));
  EXPECT_EQ(gradients, (Values{split.outputs[1], split.outputs[0]}));
}

TEST(Differentiate, SplitBecomesAConcatWithZerosWhereNobodyReads) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({1, 8, 2, 2}));
  const auto seed = b.input("seed", f32({1}));
  const auto parts = b.split(x, {2, 5, 1});
  const auto loss = test::mean_square(b, parts[1]);
  const auto gradient = differentiate(graph, loss, seed, Values{x})[0];
  const auto& concat = graph.nodes()[static_cast<std::size_t>(graph.producer(gradient))];
  ASSERT_TRUE(std::holds_alternative<Concat>(concat.op));
  ASSERT_EQ(concat.inputs.size(), 3U);
  for (std::size_t i : {0U, 2U}) {
    const auto* fill = std::get_if<Fill>(&graph.nodes()[static_cast<std::size_t>(graph.producer(concat.inputs[i]))].op);
    ASSERT_NE(fill, nullptr) << i;
    EXPECT_EQ(fill->value, 0.0F);
  }
  EXPECT_EQ(graph.type(gradient), graph.type(x));
}

TEST(Differentiate, RefusesToPassThroughWhatHasNoGradient) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({1, 2, 2, 2}));
  const auto seed = b.input("seed", f32({1}));
  const auto noisy = graph.add1(MulAdd{}, {x, x, x});
  const auto loss = test::mean_square(b, noisy);
  test::expect_refused("mul_add", "is not differentiable", [&] { (void)differentiate(graph, loss, seed, Values{x}); });
  const auto constant = b.input("c", f32({1, 2, 2, 2}));
  const auto fine = test::mean_square(b, b.add(graph.add1(MulAdd{}, {constant, constant, constant}), x));
  EXPECT_TRUE(differentiate(graph, fine, seed, Values{x})[0]) << "beside the way to the target it does not matter";
}

}  // namespace
}  // namespace ldmpi::ir
