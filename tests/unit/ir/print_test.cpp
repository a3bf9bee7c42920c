#include "ir/print.h"

#include "fixture.h"

namespace ldmpi::ir {
namespace {

using test::f32;

TEST(Print, OneLinePerNodeWithPhasesBindingsAndOutputs) {
  Graph graph;
  const Builder b(graph);
  graph.set_phase(Phase::Data);
  const auto x = b.input("x", f32({2, 8, 4, 4}));
  graph.set_phase(Phase::Forward);
  const auto gamma = b.persistent(Arena::Weights, 3, "norm.weight", f32({8}));
  (void)graph.add(Mark{Phase::Forward}, {});
  const auto y = b.group_norm(x, gamma, gamma, {.groups = 4, .epsilon = 1e-5F, .silu = true});
  graph.bind(b.sum_rows(y), {Arena::Gradients, 2});
  graph.output("y", y);
  EXPECT_EQ(
      print(graph),
      "# data\n"
      "%0 = input() {label=x} : f32[2,8,4,4]\n"
      "# forward\n"
      "%1 = persistent() {arena=weights, label=norm.weight} : f32[8]\n"
      "mark() {phase=forward}\n"
      "%2, %3, %4 = group_norm(%0, %1, %1) {groups=4, epsilon=1e-05, silu=true} : f32[2,8,4,4], f32[2,4], f32[2,4]\n"
      "%5 = sum_rows(%2) : f32[8]\n"
      "bind %5 -> gradients[2]\n"
      "output y = %2\n");
}

TEST(TypeText, NamesThePitchOnlyWhereRowsHaveGaps) {
  EXPECT_EQ((Type{DType::BF16, {2, 320, 64, 64}}).text(), "bf16[2,320,64,64]");
  EXPECT_EQ((Type{DType::BF16, {2, 320, 64, 64}, 320}).text(), "bf16[2,320,64,64]");
  EXPECT_EQ((Type{DType::BF16, {2, 320, 64, 64}, 640}).text(), "bf16[2,320,64,64]/640");
}

TEST(TypeGeometry, RowsAndColumnsOfImagesMatricesAndVectors) {
  EXPECT_EQ(f32({2, 3, 4, 5}).rows(), 40);
  EXPECT_EQ(f32({2, 3, 4, 5}).columns(), 3);
  EXPECT_EQ(f32({6, 7}).rows(), 6);
  EXPECT_EQ(f32({7}).rows(), 1);
  EXPECT_EQ(f32({7}).columns(), 7);
  EXPECT_EQ(f32({6, 7}).bytes(), 168);
}

}  // namespace
}  // namespace ldmpi::ir
