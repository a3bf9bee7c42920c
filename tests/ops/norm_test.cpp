#include <gtest/gtest.h>

#include <cmath>

#include "harness.h"

namespace ldmpi::test {
namespace {

using enum Source::Kind;

GradientCase group_norm_case(const ir::GroupNorm& op) {
  return {
      op, ir::GroupNormGrad{op}, {{Slope}, {Input, 0}, {Input, 1}, {Input, 2}, {Output, 1}, {Output, 2}}, {0, 1, 2}};
}

Tensors norm_inputs(const ir::Type& x, double shift) {
  return {random_tensor(x, 1, 2, shift), random_tensor(ir::Type{x.dtype, {x.columns()}}, 2, 1, 0.5),
          random_tensor(ir::Type{x.dtype, {x.columns()}}, 3)};
}

TEST(GroupNorm, MatchesReference) {
  for (bool silu : {false, true}) {
    check(ir::GroupNorm{1, 1e-5F, silu}, norm_inputs({DType::F32, {1, 1, 2, 1}}, 0));
    check(ir::GroupNorm{2, 1e-5F, silu}, norm_inputs({DType::F32, {2, 4, 1, 1}}, 0));
    check(ir::GroupNorm{4, 1e-6F, silu}, norm_inputs({DType::F32, {2, 12, 3, 5}}, 1));
    check(ir::GroupNorm{32, 1e-5F, silu}, norm_inputs({DType::F32, {3, 64, 9, 7}}, 0));
    check(ir::GroupNorm{32, 1e-5F, silu}, norm_inputs({DType::F32, {1, 320, 33, 64}}, 0));
  }
}

TEST(GroupNorm, KeepsPrecisionFarFromZero) {
  check(ir::GroupNorm{4, 1e-5F, false}, norm_inputs({DType::F32, {2, 16, 40, 40}}, 1000), {.relative = 5e-5});
}

TEST(GroupNorm, Gradient) {
  for (bool silu : {false, true}) {
    check_gradient(group_norm_case({2, 1e-5F, silu}), norm_inputs({DType::F32, {2, 12, 1, 1}}, 0), {.relative = 2e-5});
    check_gradient(group_norm_case({4, 1e-5F, silu}), norm_inputs({DType::F32, {2, 12, 3, 5}}, 1), {.relative = 1e-5});
    check_gradient(group_norm_case({32, 1e-5F, silu}), norm_inputs({DType::F32, {2, 64, 9, 7}}, 0), {.relative = 1e-5});
  }
}

TEST(GroupNorm, HalfTypes) {
  for (auto type : {DType::BF16, DType::F16}) {
    check(ir::GroupNorm{4, 1e-5F, true}, norm_inputs({type, {2, 12, 3, 5}}, 0), {.relative = 1e-5});
    check_gradient(group_norm_case({4, 1e-5F, true}), norm_inputs({type, {2, 12, 3, 5}}, 0), {.relative = 1e-5});
  }
}

GradientCase layer_norm_case() {
  const ir::LayerNorm op;
  return {op, ir::LayerNormGrad{op}, {{Slope}, {Input, 0}, {Input, 1}, {Output, 1}, {Output, 2}}, {0, 1, 2}};
}

TEST(LayerNorm, MatchesReference) {
  for (const Shape& shape : {Shape{1, 2}, Shape{3, 5}, Shape{77, 320}, Shape{300, 41}})
    check(ir::LayerNorm{}, norm_inputs({DType::F32, shape}, 0.5), {.relative = 5e-6});
}

TEST(LayerNorm, Gradient) {
  for (const Shape& shape : {Shape{1, 3}, Shape{3, 5}, Shape{77, 320}, Shape{300, 41}})
    check_gradient(layer_norm_case(), norm_inputs({DType::F32, shape}, 0.5), {.relative = 2e-5});
}

TEST(LayerNorm, HalfTypes) {
  for (auto type : {DType::BF16, DType::F16}) {
    check(ir::LayerNorm{}, norm_inputs({type, {13, 24}}, 0.5), {.relative = 1e-5});
    check_gradient(layer_norm_case(), norm_inputs({type, {13, 24}}, 0.5), {.relative = 2e-5});
  }
}

}  // namespace
}  // namespace ldmpi::test
