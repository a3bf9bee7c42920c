#include <gtest/gtest.h>

#include "harness.h"
#include "operand.h"
#include "under_test.h"

namespace ldmpi::test {
namespace {

using enum Source::Kind;

TEST(Concat, CopiesColumns) {
  for (auto type : {DType::F32, DType::BF16}) {
    const auto x = [&](const Shape& shape, std::uint32_t seed) { return random_tensor(ir::Type{type, shape}, seed); };
    check(ir::Concat{}, {x({2, 3, 5, 7}, 1), x({2, 8, 5, 7}, 2)}, {.relative = 0});
    check(ir::Concat{}, {x({1, 1}, 1), x({1, 1}, 2), x({1, 5}, 3)}, {.relative = 0});
    check(ir::Concat{}, {x({500, 40}, 1), x({500, 24}, 2)}, {.relative = 0});
  }
}

TEST(Concat, LeavesInputsInPlaceAlone) {
  const ir::Type whole{DType::F32, {6, 7}};
  Operand y(whole);
  const Tensor second = random_tensor(Shape{6, 4}, 2);
  Operand x(second.type);
  x.write(second.values);
  const Tensor start = random_tensor(whole, 3);
  y.write(start.values);
  const ir::Type slice{DType::F32, {6, 3}, 7};
  const backend::NodeTypes types{{slice, second.type}, {whole}};
  const std::vector<const void*> inputs{y.data(), x.data()};
  const std::vector<void*> outputs{y.data()};
  kernel_under_test(ir::Concat{}, types)->run({inputs, outputs, nullptr});
  const Array result = y.read();
  for (std::size_t row = 0; row < 6; ++row)
    for (std::size_t c = 0; c < 7; ++c)
      EXPECT_EQ(result[row * 7 + c], c < 3 ? start.values[row * 7 + c] : second.values[row * 4 + c - 3]);
}

TEST(Upsample, NearestNeighbour) {
  check(ir::Upsample{2, 2}, {random_tensor(Shape{1, 3, 1, 1}, 1)}, {.relative = 0});
  check(ir::Upsample{10, 6}, {random_tensor(Shape{2, 5, 5, 3}, 1)}, {.relative = 0});
  check(ir::Upsample{7, 5}, {random_tensor(Shape{2, 5, 3, 4}, 1)}, {.relative = 0});
  check(ir::Upsample{6, 6}, {random_tensor(ir::Type{DType::F16, {2, 5, 3, 3}}, 1)}, {.relative = 0});
}

TEST(Upsample, Gradient) {
  const auto test = [](const Shape& x, std::int64_t height, std::int64_t width) {
    check_gradient({ir::Upsample{height, width}, ir::UpsampleGrad{x[2], x[3]}, {{Slope}}, {0}}, {random_tensor(x, 1)});
  };
  test({1, 3, 1, 1}, 2, 2);
  test({2, 5, 5, 3}, 10, 6);
  test({2, 5, 3, 4}, 7, 5);
  test({2, 33, 16, 16}, 32, 32);
}

TEST(Canonical, ToImagesAndBack) {
  for (auto type : {DType::F32, DType::BF16, DType::F16})
    for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{2, 4, 5, 7}, Shape{2, 4, 64, 64}}) {
      const Shape planes{shape[0] * shape[1], shape[2] * shape[3]};
      check(ir::FromCanonical{shape, type}, {random_tensor(planes, 1)}, {.relative = 0});
      check(ir::ToCanonical{}, {random_tensor(ir::Type{type, shape}, 2)}, {.relative = 0});
    }
}

}  // namespace
}  // namespace ldmpi::test
