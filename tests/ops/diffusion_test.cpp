#include <gtest/gtest.h>

#include <cmath>

#include "harness.h"

namespace ldmpi::test {
namespace {

using enum Source::Kind;

constexpr Tolerance kExact{.relative = 0};

TEST(Random, TimestepsAreTheDraws) {
  const ir::RandomTimesteps op{7, 1000};
  check(op, {counting_tensor(3000, 5)}, kExact);
  const auto results = run(op, {counting_tensor(3000, 1LL << 40)});
  for (double t : results[0]) EXPECT_TRUE(t >= 0 && t < 1000);
}

TEST(Random, NormalNumbersInCanonicalOrder) {
  for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{3, 4, 5, 7}, Shape{2, 4, 64, 64}, Shape{2, 3}, Shape{1, 5000}})
    check(ir::RandomNormal{11, Purpose::Noise, shape}, {counting_tensor(shape[0], 1000)}, kExact);
}

TEST(Random, MeanAndVariance) {
  const Array x = run(ir::RandomNormal{3, Purpose::Noise, {4, 4, 64, 64}}, {counting_tensor(4, 0)})[0];
  double mean = 0;
  double square = 0;
  for (double value : x) {
    mean += value / static_cast<double>(x.size());
    square += value * value / static_cast<double>(x.size());
  }
  EXPECT_NEAR(mean, 0, 0.02);
  EXPECT_NEAR(square, 1, 0.02);
}

TEST(Diffusion, Lookup) {
  Tensor t = counting_tensor(5, 0, 249);
  check(ir::Lookup{}, {random_tensor(Shape{1000}, 1), t}, kExact);
}

TEST(Diffusion, Blend) {
  for (auto type : {DType::F32, DType::BF16, DType::F16})
    for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{3, 4, 5, 7}, Shape{2, 4, 64, 64}})
      check(ir::Blend{type}, {random_tensor(Shape{shape[0]}, 1), random_tensor(shape, 2),
                              random_tensor(Shape{shape[0]}, 3), random_tensor(shape, 4)});
}

TEST(Diffusion, DropCaption) {
  for (auto type : {DType::F32, DType::BF16, DType::F16})
    for (float probability : {0.0F, 0.4F, 1.0F})
      check(ir::DropCaption{5, probability, type},
            {counting_tensor(6, 1), random_tensor(Shape{6 * 7, 33}, 2), random_tensor(Shape{7, 33}, 3)}, kExact);
}

TEST(Diffusion, DropCaptionDropsSome) {
  const Tensor x = random_tensor(Shape{200, 1}, 2, 1, 5);
  const Array y =
      run(ir::DropCaption{5, 0.25F, DType::F32}, {counting_tensor(200, 0), x, random_tensor(Shape{1, 1}, 3)})[0];
  std::int64_t dropped = 0;
  for (std::size_t i = 0; i < y.size(); ++i) dropped += y[i] != x.values[i];
  EXPECT_GT(dropped, 25);
  EXPECT_LT(dropped, 80);
}

TEST(Diffusion, Sinusoid) {
  // Angles up to 999 in f32: the last digits are the argument's rounding.
  constexpr Tolerance kAngles{.relative = 1e-4};
  for (bool cos_first : {true, false})
    for (float shift : {0.0F, 1.0F})
      for (auto type : {DType::F32, DType::BF16}) {
        const ir::Sinusoid op{32, cos_first, shift, type};
        check(op, {counting_tensor(5, 0, 249)}, kAngles);
        check(op, {random_tensor(Shape{3, 6}, 1, 500, 500)}, kAngles);
      }
}

TEST(Diffusion, WeightedMse) {
  for (auto type : {DType::F32, DType::BF16, DType::F16})
    for (const Shape& shape : {Shape{1, 1, 1, 1}, Shape{3, 4, 5, 7}, Shape{2, 4, 64, 64}}) {
      const Tensors inputs{random_tensor(ir::Type{type, shape}, 1), random_tensor(shape, 2),
                           random_tensor(Shape{shape[0]}, 3, 0.5, 1)};
      check(ir::WeightedMse{}, inputs);
      check_gradient({ir::WeightedMse{}, ir::WeightedMseGrad{}, {{Slope}, {Input, 0}, {Input, 1}, {Input, 2}}, {0}},
                     inputs, {.relative = 1e-5});
    }
}

}  // namespace
}  // namespace ldmpi::test
