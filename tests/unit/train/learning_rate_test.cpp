#include "train/learning_rate.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ldmpi::train {
namespace {

using config::LrSchedule;

TEST(LearningRate, WarmupGrowsByEqualPartsToTheFullRate) {
  for (const auto schedule : {LrSchedule::Constant, LrSchedule::Linear, LrSchedule::Cosine}) {
    const LearningRate rate{.schedule = schedule, .base = 2e-4, .warmup_steps = 10, .total_steps = 100};
    for (std::int64_t step = 1; step <= 10; ++step)
      EXPECT_DOUBLE_EQ(rate.at(step), 2e-4 * static_cast<double>(step) / 10);
    EXPECT_DOUBLE_EQ(rate.at(11), 2e-4);
  }
}

TEST(LearningRate, ConstantStays) {
  const LearningRate rate{.base = 3e-5, .warmup_steps = 0, .total_steps = 50};
  for (const std::int64_t step : {1, 2, 50, 51, 1000}) EXPECT_EQ(rate.at(step), 3e-5);
}

TEST(LearningRate, LinearFallsByEqualParts) {
  const LearningRate rate{.schedule = LrSchedule::Linear, .base = 1.0, .warmup_steps = 4, .total_steps = 24};
  for (std::int64_t step = 5; step <= 24; ++step)
    EXPECT_NEAR(rate.at(step), static_cast<double>(25 - step) / 20, 1e-15);
  EXPECT_EQ(rate.at(25), 0.0);
  EXPECT_EQ(rate.at(1000), 0.0);
}

TEST(LearningRate, CosineIsHalfAWave) {
  const LearningRate rate{.schedule = LrSchedule::Cosine, .base = 1.0, .warmup_steps = 0, .total_steps = 8};
  EXPECT_DOUBLE_EQ(rate.at(1), 1.0);
  EXPECT_DOUBLE_EQ(rate.at(3), 0.5 + std::sqrt(2.0) / 4);  // a quarter of the way
  EXPECT_DOUBLE_EQ(rate.at(5), 0.5);
  EXPECT_NEAR(rate.at(9), 0.0, 1e-15);
  EXPECT_NEAR(rate.at(100), 0.0, 1e-15);
}

TEST(LearningRate, AWarmupOfTheWholeRunIsNoTrap) {
  const LearningRate rate{.schedule = LrSchedule::Linear, .base = 1.0, .warmup_steps = 5, .total_steps = 5};
  EXPECT_DOUBLE_EQ(rate.at(5), 1.0);
  EXPECT_TRUE(std::isfinite(rate.at(6)));
}

}  // namespace
}  // namespace ldmpi::train
