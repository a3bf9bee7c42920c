#include "plan/cost.h"

#include "../ir/fixture.h"
#include "plan/report.h"

namespace ldmpi::plan {
namespace {

using ir::test::f32;

TEST(Cost, CountsProductsFromTheirShapes) {
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto x = b.input("x", f32({2, 8, 6, 6}));
  const auto w = b.input("w", f32({4, 8, 3, 3}));
  const auto y = b.conv2d(x, w, {}, {});
  const auto tokens = b.input("t", f32({10, 8}));
  const auto proj = b.input("p", f32({5, 8}));
  const auto z = b.linear(tokens, proj);
  const auto q = b.input("q", f32({12, 8}));
  const auto o = b.attention(q, tokens, tokens, {2, 4});
  const auto s = b.silu(x);
  auto flops = [&](ir::Value v) {
    return node_flops(graph, graph.nodes()[static_cast<std::size_t>(graph.producer(v))]);
  };
  EXPECT_EQ(flops(y), 2 * (2 * 4 * 36) * (8 * 9));
  EXPECT_EQ(flops(z), 2 * 10 * 5 * 8);
  EXPECT_EQ(flops(o), 2 * 2 * (2 * 6 * 5 * 8));
  EXPECT_EQ(flops(s), 2 * 8 * 36);
  EXPECT_EQ(graph_flops(graph, ir::Phase::Forward), flops(y) + flops(z) + flops(o));
  EXPECT_EQ(graph_flops(graph, ir::Phase::Backward), 0);

  graph.set_phase(ir::Phase::Backward);
  const auto dw = graph.add1(ir::Conv2dWeightGrad{ir::Conv2d{}, 3}, {y, x});
  const auto dx = graph.add1(ir::Conv2dInputGrad{ir::Conv2d{}, 6, 6}, {y, w});
  EXPECT_EQ(flops(dw), flops(y));
  EXPECT_EQ(flops(dx), flops(y));
  EXPECT_EQ(graph_flops(graph, ir::Phase::Backward), 2 * flops(y));
}

TEST(BytesText, PicksTheUnit) {
  EXPECT_EQ(bytes_text(1023), "1023 B");
  EXPECT_EQ(bytes_text(1536), "1.5 KiB");
  EXPECT_EQ(bytes_text(std::int64_t{5} << 20), "5.0 MiB");
  EXPECT_EQ(bytes_text(std::int64_t{3} << 29), "1.50 GiB");
}

}  // namespace
}  // namespace ldmpi::plan
