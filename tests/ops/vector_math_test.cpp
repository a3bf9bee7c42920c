#include "backend/cpu/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace ldmpi::backend::cpu {
namespace {

TEST(VectorMath, ExpWithinTwoUlp) {
  for (float x = -87; x < 88; x += 0.00371F) {
    const double expected = std::exp(double{x});
    ASSERT_NEAR(double{exp_of(x)} / expected, 1, 2.5e-7) << x;
  }
  EXPECT_EQ(exp_of(0.0F), 1.0F);
  EXPECT_LT(exp_of(-1e30F), 2e-38F);
  EXPECT_GE(exp_of(-1e30F), 0.0F);
  EXPECT_TRUE(std::isnan(exp_of(NAN)));
}

TEST(VectorMath, Exp2WithinTwoUlp) {
  for (float x = -99.9F; x < 127; x += 0.00371F) ASSERT_NEAR(double{exp2_of(x)} / std::exp2(double{x}), 1, 2.5e-7) << x;
  EXPECT_EQ(exp2_of(0.0F), 1.0F);
  EXPECT_LT(exp2_of(-INFINITY), 1e-30F);
}

TEST(VectorMath, VectorsEqualScalars) {
  for (float x = -100; x < 100; x += 0.713F) {
    Float8 v{};
    for (int i = 0; i < 8; ++i) v[i] = x + static_cast<float>(i) * 0.01F;
    const Float8 y = exp_of(v);
    for (int i = 0; i < 8; ++i) EXPECT_NEAR(double{y[i]} / double{exp_of(v[i])}, 1, 2e-7);
  }
}

TEST(VectorMath, GeluAndItsSlope) {
  for (float x = -20; x < 20; x += 0.00137F) {
    const double cdf = 0.5 * std::erfc(-double{x} / std::numbers::sqrt2);
    const double density = std::exp(-0.5 * double{x} * double{x}) / std::sqrt(2 * std::numbers::pi);
    const double rounding = 1e-7 * std::fabs(double{x});
    ASSERT_NEAR(double{gelu(x)}, double{x} * cdf, 3e-7 + rounding) << x;
    ASSERT_NEAR(double{gelu_slope(x)}, cdf + double{x} * density, 4e-7) << x;
    if (x > -9) {
      ASSERT_NEAR(double{normal_at(x).cdf} / cdf, 1, 5e-6) << x;
    }
  }
}

TEST(VectorMath, SiluAndItsSlope) {
  for (float x = -120; x < 120; x += 0.0137F) {
    const double s = 1 / (1 + std::exp(-double{x}));
    ASSERT_NEAR(double{silu(x)}, double{x} * s, 3e-7 * std::max(1.0, std::fabs(double{x}))) << x;
    ASSERT_NEAR(double{silu_slope(x)}, s * (1 + double{x} * (1 - s)), 4e-7) << x;
  }
}

}  // namespace
}  // namespace ldmpi::backend::cpu
