#include "fixture.h"

namespace ldmpi::ir {
namespace {

using test::expect_refused;
using test::f32;
using test::f64;
using test::i64;

struct Refused {
  const char* what;
  Op op;
  std::vector<Type> inputs;
};

// One wrong thing each; the refusal names the op.
std::vector<Refused> refused() {
  const Type bf16{DType::BF16, {4, 8}};
  const Type image = f32({2, 8, 6, 6});
  return {
      {"add: shapes", Add{}, {f32({2, 3}), f32({3, 2})}},
      {"add: dtypes", Add{}, {f32({4, 8}), bf16}},
      {"add: one input", Add{}, {f32({2, 3})}},
      {"unary_grad: dy unlike x", UnaryGrad{}, {f32({2, 3}), f32({2, 4})}},
      {"unary: two inputs", Unary{}, {f32({2}), f32({2})}},
      {"geglu: odd columns", Geglu{}, {f32({2, 5})}},
      {"geglu: an image", Geglu{}, {image}},
      {"geglu_grad: halves", GegluGrad{}, {f32({2, 3}), f32({2, 4})}},
      {"add_channels: channels", AddChannels{}, {image, f32({2, 7})}},
      {"add_channels: a matrix", AddChannels{}, {f32({2, 8}), f32({2, 8})}},
      {"sum_pixels: a matrix", SumPixels{}, {f32({2, 8})}},
      {"matmul: inner extents", MatMul{}, {f32({2, 3}), f32({4, 5})}},
      {"matmul: inner extents, transposed", MatMul{false, true}, {f32({2, 3}), f32({3, 5})}},
      {"matmul: bias", MatMul{false, true}, {f32({2, 3}), f32({5, 3}), f32({3})}},
      {"matmul: dtypes", MatMul{false, true}, {f32({4, 8}), bf16}},
      {"conv2d: channels", Conv2d{}, {image, f32({4, 7, 3, 3})}},
      {"conv2d: kernel not square", Conv2d{}, {image, f32({4, 8, 3, 1})}},
      {"conv2d: bias", Conv2d{}, {image, f32({4, 8, 3, 3}), f32({8})}},
      {"conv2d: image too small", Conv2d{1, 0}, {f32({1, 8, 2, 2}), f32({4, 8, 3, 3})}},
      {"conv2d_input_grad: extents", Conv2dInputGrad{Conv2d{}, 7, 7}, {f32({2, 4, 6, 6}), f32({4, 8, 3, 3})}},
      {"conv2d_weight_grad: extents", Conv2dWeightGrad{Conv2d{2, 1}, 3}, {f32({2, 4, 6, 6}), image}},
      {"group_norm: groups", GroupNorm{.groups = 3}, {image, f32({8}), f32({8})}},
      {"group_norm: gamma", GroupNorm{.groups = 4}, {image, f32({6}), f32({8})}},
      {"group_norm_grad: dy",
       GroupNormGrad{{.groups = 4}},
       {f32({2, 8, 6, 5}), image, f32({8}), f32({8}), f32({2, 4}), f32({2, 4})}},
      {"layer_norm: an image", LayerNorm{}, {image, f32({6}), f32({6})}},
      {"layer_norm: beta", LayerNorm{}, {f32({4, 8}), f32({8}), f32({7})}},
      {"layer_norm_grad: dy", LayerNormGrad{}, {f32({4, 7}), f32({4, 8}), f32({8}), f32({4}), f32({4})}},
      {"attention: heads", Attention{2, 3}, {f32({8, 8}), f32({6, 8}), f32({6, 8})}},
      {"attention: batch", Attention{4, 2}, {f32({8, 8}), f32({6, 8}), f32({6, 8})}},
      {"attention: k unlike v", Attention{2, 2}, {f32({8, 8}), f32({6, 8}), f32({8, 8})}},
      {"attention_grad: do",
       AttentionGrad{{2, 2}},
       {f32({4, 8}), f32({8, 8}), f32({6, 8}), f32({6, 8}), f32({8, 8}), f32({4, 4})}},
      {"reshape: elements", Reshape{{3, 5}}, {f32({4, 4})}},
      {"split: sum of sizes", Split{{3, 4}}, {f32({2, 8})}},
      {"concat: rows", Concat{}, {f32({2, 8}), f32({3, 8})}},
      {"concat: dtypes", Concat{}, {f32({4, 8}), bf16}},
      {"concat: nothing", Concat{}, {}},
      {"upsample: smaller", Upsample{5, 12}, {image}},
      {"upsample: a matrix", Upsample{12, 12}, {f32({4, 8})}},
      {"from_canonical: elements", FromCanonical{{2, 8, 6, 6}}, {f32({16, 35})}},
      {"to_canonical: a matrix", ToCanonical{}, {f32({16, 36})}},
      {"random_timesteps: dtype", RandomTimesteps{}, {f32({2})}},
      {"random_normal: samples", RandomNormal{.shape = {3, 4, 2, 2}}, {i64({2})}},
      {"lookup: dtype", Lookup{}, {f32({1000}), f32({2})}},
      {"blend: e unlike x", Blend{}, {f32({2}), image, f32({2}), f32({2, 8, 6, 5})}},
      {"blend: factors", Blend{}, {f32({3}), image, f32({3}), image}},
      {"mul_add: shapes", MulAdd{}, {image, image, f32({2, 8, 6, 5})}},
      {"drop_caption: tokens", DropCaption{}, {i64({2}), f32({10, 8}), f32({4, 8})}},
      {"sinusoid: odd dim", Sinusoid{.dim = 7}, {f32({2})}},
      {"weighted_mse: target", WeightedMse{}, {image, f32({2, 8, 6, 5}), f32({2})}},
      {"weighted_mse: weights", WeightedMse{}, {image, image, f32({3})}},
      {"accumulate: elements", Accumulate{}, {f32({8}), f32({9})}},
      {"accumulate: dtype", Accumulate{}, {bf16, f32({32})}},
      {"adamw: inputs", AdamW{}, {f32({1}), f64({1}), f64({8})}},
      {"update_state: state", UpdateState{}, {f64({1}), f64({3})}},
      {"start: behind the arena", StartCollective{CollectiveKind::AllReduce, 0, 9, 0}, {f32({8})}},
      {"wait: no token", WaitCollective{0}, {}},
      {"mark: an input", Mark{}, {f32({1})}},
  };
}

TEST(ShapeRules, RefuseWrongOperandsNamingTheOp) {
  for (const auto& c : refused()) {
    SCOPED_TRACE(c.what);
    Graph graph;
    const Builder b(graph);
    Values inputs;
    for (const auto& type : c.inputs) inputs.push_back(b.input("x" + std::to_string(inputs.size()), type));
    const auto nodes = graph.nodes().size();
    expect_refused(name_of(c.op), "", [&] { (void)graph.add(c.op, inputs); });
    EXPECT_EQ(graph.nodes().size(), nodes) << "a refused node was added";
  }
}

TEST(ShapeRules, TheMessageSaysWhatIsNeededAndWhatWasGiven) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({2, 3}));
  const auto y = b.input("y", {DType::BF16, {3, 2}});
  expect_refused("add needs two equal types", "(f32[2,3], bf16[3,2])", [&] { (void)b.add(x, y); });
}

TEST(ShapeRules, ResultsHaveTheStatedShapes) {
  Graph graph;
  const Builder b(graph);
  const auto image = b.input("image", f32({2, 8, 7, 5}));
  const auto gamma = b.input("gamma", f32({8}));
  const auto w = b.persistent(Arena::Weights, 0, "w", {DType::F32, {6, 8, 3, 3}, 0, Layout::Parameter});
  EXPECT_EQ(b.type(b.conv2d(image, w, {}, {2, 1})), f32({2, 6, 4, 3}));
  EXPECT_EQ(b.type(b.conv2d(image, w, {}, {1, 0})), f32({2, 6, 5, 3}));
  const auto dy = b.input("dy", f32({2, 6, 4, 3}));
  const auto dw = graph.add1(Conv2dWeightGrad{Conv2d{2, 1}, 3}, {dy, image});
  EXPECT_EQ(b.type(dw), b.type(w)) << "a weight's gradient has the weight's layout";
  const auto norm = graph.add(GroupNorm{.groups = 4}, {image, gamma, gamma});
  ASSERT_EQ(norm.size(), 3U);
  EXPECT_EQ(b.type(norm[0]), b.type(image));
  EXPECT_EQ(b.type(norm[1]), f32({2, 4}));
  EXPECT_EQ(b.type(b.tokens(image)), f32({70, 8}));
  EXPECT_EQ(b.type(b.image_like(b.tokens(image), image)), b.type(image));
  EXPECT_EQ(b.type(b.upsample(image, 13, 10)), f32({2, 8, 13, 10}));
  EXPECT_EQ(b.type(b.concat({image, image})), f32({2, 16, 7, 5}));
  EXPECT_EQ(b.type(b.split(image, {3, 5})[1]), f32({2, 5, 7, 5}));
  EXPECT_EQ(b.type(b.sum_rows(image)), f32({8}));
  EXPECT_EQ(b.type(graph.add1(ToCanonical{}, {image})), f32({16, 35}));
  const auto q = b.input("q", f32({8, 8}));
  const auto k = b.input("k", f32({6, 8}));
  const auto attention = graph.add(Attention{2, 4}, {q, k, k});
  EXPECT_EQ(b.type(attention[0]), f32({8, 8}));
  EXPECT_EQ(b.type(attention[1]), f32({8, 4}));
  EXPECT_EQ(b.type(b.matmul(q, k, false, true)), f32({8, 6}));
  EXPECT_EQ(b.type(b.matmul(q, q, true, false)), f32({8, 8}));
}

TEST(GraphTest, RefusesForeignValuesAndDoubleBindings) {
  Graph graph;
  const Builder b(graph);
  const auto x = b.input("x", f32({2}));
  expect_refused("unary", "not of this graph", [&] { (void)b.silu(Value{17}); });
  expect_refused("unary", "not of this graph", [&] { (void)b.silu({}); });
  graph.bind(x, {Arena::Gradients, 0});
  EXPECT_THROW(graph.bind(x, {Arena::Gradients, 1}), Error);
  graph.output("y", x);
  EXPECT_THROW(graph.output("y", x), Error);
}

}  // namespace
}  // namespace ldmpi::ir
