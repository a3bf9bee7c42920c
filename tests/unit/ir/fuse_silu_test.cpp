#include "fixture.h"
#include "ir/passes/passes.h"

namespace ldmpi::ir {
namespace {

using test::count;
using test::f32;
using test::find;

struct Net {
  Graph graph;
  Builder b{graph};
  Value x = b.input("x", f32({1, 8, 2, 2}));
  Value gamma = b.input("gamma", f32({8}));
  Value beta = b.input("beta", f32({8}));
  Value norm(bool silu = false) const { return b.group_norm(x, gamma, beta, {.groups = 4, .silu = silu}); }
};

TEST(FuseSilu, TheOnlyReaderGoesIntoTheNorm) {
  Net net;
  net.graph.output("y", net.b.scale(net.b.silu(net.norm()), 2));
  const auto fused = fuse_silu(net.graph);
  EXPECT_EQ(count<Unary>(fused), 0U);
  const auto norms = find<GroupNorm>(fused);
  ASSERT_EQ(norms.size(), 1U);
  const auto& node = fused.nodes()[static_cast<std::size_t>(norms[0])];
  EXPECT_TRUE(std::get<GroupNorm>(node.op).silu);
  const auto& scale = fused.nodes()[static_cast<std::size_t>(fused.producer(fused.outputs().at("y")))];
  EXPECT_EQ(scale.inputs, Values{node.outputs[0]});
}

TEST(FuseSilu, AnOutputMovesToTheNorm) {
  Net net;
  net.graph.output("y", net.b.silu(net.norm()));
  const auto fused = fuse_silu(net.graph);
  EXPECT_TRUE(std::holds_alternative<GroupNorm>(
      fused.nodes()[static_cast<std::size_t>(fused.producer(fused.outputs().at("y")))].op));
}

TEST(FuseSilu, LeavesANormThatSomebodyElseSees) {
  Net read;
  const auto z = read.norm();
  read.graph.output("y", read.b.add(read.b.silu(z), z));
  Net named;
  const auto w = named.norm();
  named.graph.output("z", w);
  named.graph.output("y", named.b.silu(w));
  Net bound;
  const auto v = bound.norm();
  bound.graph.bind(v, {Arena::Gradients, 0});
  bound.graph.output("y", bound.b.silu(v));
  for (const auto* graph : {&read.graph, &named.graph, &bound.graph}) EXPECT_EQ(count<Unary>(fuse_silu(*graph)), 1U);
}

TEST(FuseSilu, LeavesGeluAndASecondSilu) {
  Net gelu;
  gelu.graph.output("y", gelu.b.gelu(gelu.norm()));
  EXPECT_EQ(count<Unary>(fuse_silu(gelu.graph)), 1U);
  Net twice;
  twice.graph.output("y", twice.b.silu(twice.b.silu(twice.norm())));
  const auto once = fuse_silu(twice.graph);
  EXPECT_EQ(count<Unary>(once), 1U);
  EXPECT_EQ(count<Unary>(fuse_silu(once)), 1U) << "a norm holds one silu, not two";
}

}  // namespace
}  // namespace ldmpi::ir
