#include <gtest/gtest.h>

#include "harness.h"

namespace ldmpi::test {
namespace {

using enum Source::Kind;

constexpr Tolerance kLibrary{.relative = 1e-5, .same_bits = false};

TEST(MatMul, MatchesReference) {
  for (bool a : {false, true})
    for (bool b : {false, true})
      for (const Shape& s : {Shape{1, 1, 1}, Shape{3, 5, 7}, Shape{77, 40, 33}, Shape{128, 64, 96}}) {
        Tensors inputs{random_tensor(a ? Shape{s[1], s[0]} : Shape{s[0], s[1]}, 1),
                       random_tensor(b ? Shape{s[2], s[1]} : Shape{s[1], s[2]}, 2)};
        check(ir::MatMul{a, b}, inputs, kLibrary);
        inputs.push_back(random_tensor(Shape{s[2]}, 3));
        check(ir::MatMul{a, b}, inputs, kLibrary);
      }
}

TEST(MatMul, ImagesAreTheirRows) {
  check(ir::MatMul{}, {random_tensor(Shape{2, 6, 3, 5}, 1), random_tensor(Shape{6, 4}, 2)}, kLibrary);
}

TEST(MatMul, HalfTypes) {
  for (auto type : {DType::BF16, DType::F16})
    check(ir::MatMul{false, true},
          {random_tensor(ir::Type{type, {9, 20}}, 1), random_tensor(ir::Type{type, {11, 20}}, 2),
           random_tensor(ir::Type{type, {11}}, 3)},
          kLibrary);
}

ir::Type weight_type(const Shape& shape, DType type = DType::F32) {
  return {type, shape, 0, ir::Layout::Parameter};
}

struct ConvSizes {
  Shape x;
  std::int64_t outputs;
  std::int64_t kernel;
  ir::Conv2d op;
};

const std::vector<ConvSizes> kConvs{
    {{1, 1, 1, 1}, 1, 3, {1, 1}},   {{2, 4, 5, 7}, 8, 3, {1, 1}},   {{2, 8, 6, 6}, 4, 3, {2, 1}},
    {{1, 3, 7, 5}, 5, 3, {2, 1}},   {{1, 16, 9, 3}, 24, 3, {1, 1}}, {{3, 10, 4, 4}, 6, 3, {1, 0}},
    {{1, 20, 1, 1}, 12, 3, {1, 1}},
};

TEST(Conv2d, MatchesReference) {
  for (const auto& s : kConvs) {
    Tensors inputs{random_tensor(s.x, 1), random_tensor(weight_type({s.outputs, s.x[1], s.kernel, s.kernel}), 2)};
    check(s.op, inputs, kLibrary);
    inputs.push_back(random_tensor(Shape{s.outputs}, 3));
    check(s.op, inputs, kLibrary);
  }
}

TEST(Conv2d, Gradients) {
  for (const auto& s : kConvs) {
    const Tensors inputs{random_tensor(s.x, 1), random_tensor(weight_type({s.outputs, s.x[1], s.kernel, s.kernel}), 2)};
    check_gradient({s.op, ir::Conv2dInputGrad{s.op, s.x[2], s.x[3]}, {{Slope}, {Input, 1}}, {0}}, inputs, kLibrary);
    check_gradient({s.op, ir::Conv2dWeightGrad{s.op, s.kernel}, {{Slope}, {Input, 0}}, {1}}, inputs, kLibrary);
  }
}

TEST(Conv2d, HalfTypes) {
  for (auto type : {DType::BF16, DType::F16}) {
    const Tensors inputs{random_tensor(ir::Type{type, {2, 6, 5, 4}}, 1),
                         random_tensor(weight_type({10, 6, 3, 3}, type), 2)};
    const ir::Conv2d op;
    check(op, inputs, kLibrary);
    check_gradient({op, ir::Conv2dInputGrad{op, 5, 4}, {{Slope}, {Input, 1}}, {0}}, inputs, kLibrary);
    check_gradient({op, ir::Conv2dWeightGrad{op, 3}, {{Slope}, {Input, 0}}, {1}}, inputs, kLibrary);
  }
}

}  // namespace
}  // namespace ldmpi::test
