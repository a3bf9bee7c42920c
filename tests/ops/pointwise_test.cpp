#include <gtest/gtest.h>

#include <cmath>

#include "harness.h"

namespace ldmpi::test {
namespace {

using enum Source::Kind;

const std::vector<Shape> kShapes{{1, 1}, {3, 5}, {2, 7, 3, 5}, {2, 4, 1, 1}, {1, 33, 16, 33}, {300, 70}};

TEST(Pointwise, Activations) {
  for (const Shape& shape : kShapes)
    for (auto fn : {ir::UnaryFn::Silu, ir::UnaryFn::Gelu}) {
      check(ir::Unary{fn}, {random_tensor(shape, 1, 5)});
      check_gradient({ir::Unary{fn}, ir::UnaryGrad{fn}, {{Slope}, {Input, 0}}, {0}}, {random_tensor(shape, 2, 4)});
    }
}

TEST(Pointwise, ActivationsFarOut) {
  const Tensor far = random_tensor(Shape{40, 40}, 1, 300);
  for (auto fn : {ir::UnaryFn::Silu, ir::UnaryFn::Gelu}) check(ir::Unary{fn}, {far});
}

TEST(Pointwise, SumsAndFactors) {
  for (const Shape& shape : kShapes) {
    check(ir::Add{}, {random_tensor(shape, 1), random_tensor(shape, 2)});
    check(ir::Scale{-0.7F}, {random_tensor(shape, 1)});
    check(ir::MulAdd{}, {random_tensor(shape, 1), random_tensor(shape, 2), random_tensor(shape, 3)});
  }
}

TEST(Pointwise, HalfTypes) {
  for (auto type : {DType::BF16, DType::F16}) {
    const ir::Type x{type, {2, 9, 5, 7}};
    check(ir::Add{}, {random_tensor(x, 1), random_tensor(x, 2)});
    check(ir::Unary{ir::UnaryFn::Gelu}, {random_tensor(x, 1, 4)});
    check(ir::Scale{3}, {random_tensor(x, 1)});
    check(ir::AddChannels{}, {random_tensor(x, 1), random_tensor(ir::Type{type, {2, 9}}, 2)});
    check(ir::Geglu{}, {random_tensor(ir::Type{type, {13, 22}}, 2, 3)});
    check_gradient({ir::Geglu{}, ir::GegluGrad{}, {{Slope}, {Input, 0}}, {0}},
                   {random_tensor(ir::Type{type, {5, 6}}, 2, 3)}, {.relative = 1e-5});
  }
}

TEST(Pointwise, CastsRoundToNearestEven) {
  for (auto from : {DType::F32, DType::BF16, DType::F16})
    for (auto to : {DType::F32, DType::BF16, DType::F16})
      for (const Shape& shape : kShapes) {
        const Tensor x = random_tensor(ir::Type{from, shape}, 3, 2);
        const auto y = run(ir::Cast{to}, {x})[0];
        for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], rounded(x.values[i], to)) << i;
        check(ir::Cast{to}, {x}, {.relative = 0});
      }
}

TEST(Pointwise, Fill) {
  for (auto type : {DType::F32, DType::BF16, DType::F16, DType::F64, DType::I64, DType::U8})
    for (const Shape& shape : kShapes) check(ir::Fill{3, ir::Type{type, shape}}, {}, {.relative = 0});
}

TEST(Pointwise, Geglu) {
  for (const Shape& shape : {Shape{1, 2}, Shape{7, 10}, Shape{77, 160}, Shape{130, 514}}) {
    check(ir::Geglu{}, {random_tensor(shape, 1, 4)});
    check_gradient({ir::Geglu{}, ir::GegluGrad{}, {{Slope}, {Input, 0}}, {0}}, {random_tensor(shape, 2, 4)});
  }
}

TEST(Pointwise, AddChannels) {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{3, 5, 7, 3}, Shape{2, 40, 20, 30}})
    check(ir::AddChannels{}, {random_tensor(shape, 1), random_tensor(Shape{shape[0], shape[1]}, 2)});
}

TEST(Reduce, SumPixels) {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{3, 5, 7, 3}, Shape{2, 40, 40, 33}})
    check(ir::SumPixels{}, {random_tensor(shape, 1)});
  check(ir::SumPixels{}, {random_tensor(ir::Type{DType::BF16, {2, 9, 5, 4}}, 1)});
}

TEST(Reduce, SumRows) {
  for (const Shape& shape : {Shape{1, 1}, Shape{5, 3}, Shape{2000, 17}, Shape{3, 5, 7, 3}, Shape{4, 64, 16, 16}})
    check(ir::SumRows{}, {random_tensor(shape, 1)});
}

}  // namespace
}  // namespace ldmpi::test
