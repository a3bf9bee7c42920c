#include <gtest/gtest.h>

#include <cmath>

#include "harness.h"

namespace ldmpi::test {
namespace {

using enum Source::Kind;

struct Sizes {
  std::int64_t batch, heads, width, queries, keys;
};

Tensors operands(const Sizes& s, double scale, DType type = DType::F32) {
  const std::int64_t columns = s.heads * s.width;
  return {random_tensor(ir::Type{type, {s.batch * s.queries, columns}}, 1, scale),
          random_tensor(ir::Type{type, {s.batch * s.keys, columns}}, 2, scale),
          random_tensor(ir::Type{type, {s.batch * s.keys, columns}}, 3)};
}

GradientCase gradient_case(const ir::Attention& op) {
  return {
      op, ir::AttentionGrad{op}, {{Slope}, {Input, 0}, {Input, 1}, {Input, 2}, {Output, 0}, {Output, 1}}, {0, 1, 2}};
}

const std::vector<Sizes> kSizes{
    {1, 1, 1, 1, 1},     {1, 1, 8, 1, 77},     {2, 2, 20, 5, 3},     {1, 2, 8, 100, 77}, {2, 1, 40, 97, 129},
    {1, 1, 80, 33, 300}, {1, 2, 160, 30, 100}, {1, 1, 64, 200, 40},  {3, 3, 16, 17, 31}, {1, 1, 256, 10, 20},
    {1, 1, 32, 96, 96},  {2, 1, 24, 7, 400},   {1, 4, 12, 192, 256}, {1, 70, 8, 3, 100},
};

TEST(Attention, MatchesReference) {
  for (const Sizes& s : kSizes) check(ir::Attention{s.batch, s.heads}, operands(s, 2), {.relative = 4e-6});
}

TEST(Attention, LargeScores) {
  // Scores of some hundreds: the running maximum must hold, nothing overflows.
  check(ir::Attention{1, 2}, operands({1, 2, 40, 50, 300}, 20), {.relative = 1e-4});
}

TEST(Attention, Gradient) {
  for (const Sizes& s : kSizes) {
    SCOPED_TRACE(fmt::format("{}x{} heads of {}, {} queries, {} keys", s.batch, s.heads, s.width, s.queries, s.keys));
    check_gradient(gradient_case({s.batch, s.heads}), operands(s, 1.5), {.relative = 2e-5});
  }
}

TEST(Attention, HalfTypes) {
  for (auto type : {DType::BF16, DType::F16}) {
    const Sizes s{2, 2, 20, 13, 19};
    check(ir::Attention{s.batch, s.heads}, operands(s, 1, type), {.relative = 1e-5});
    // o is rounded to 16 bits before the gradient reads it.
    check_gradient(gradient_case({s.batch, s.heads}), operands(s, 1, type),
                   {.relative = type == DType::BF16 ? 1e-2 : 1e-3});
  }
}

TEST(Attention, NotANumberStaysVisible) {
  auto inputs = operands({1, 1, 8, 4, 20}, 1);
  inputs[0].values[8] = NAN;
  const auto o = run(ir::Attention{1, 1}, inputs)[0];
  for (std::size_t i = 0; i < o.size(); ++i) EXPECT_EQ(std::isnan(o[i]), i / 8 == 1) << i;
}

}  // namespace
}  // namespace ldmpi::test
