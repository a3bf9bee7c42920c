#include "base/shape.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/check.h"

namespace ldmpi {
namespace {

TEST(ShapeTest, CountsAndIndexes) {
  const Shape shape{2, 320, 64, 32};
  EXPECT_EQ(shape.rank(), 4);
  EXPECT_EQ(shape[1], 320);
  EXPECT_EQ(shape[-1], 32);
  EXPECT_EQ(shape[-4], 2);
  EXPECT_EQ(shape.count(), 2 * 320 * 64 * 32);
  EXPECT_EQ(shape.text(), "[2,320,64,32]");
}

TEST(ShapeTest, ScalarsAndEmptyOnes) {
  EXPECT_EQ(Shape{}.count(), 1);
  EXPECT_EQ(Shape{}.text(), "[]");
  EXPECT_EQ((Shape{3, 0, 5}).count(), 0);
}

TEST(ShapeTest, EqualityCountsTheRank) {
  EXPECT_EQ((Shape{1, 2}), (Shape{1, 2}));
  EXPECT_NE((Shape{1, 2}), (Shape{2, 1}));
  EXPECT_NE((Shape{1, 2}), (Shape{1, 2, 0}));
}

TEST(ShapeTest, RefusesMoreAxesThanItHolds) {
  EXPECT_EQ(Shape(std::vector<std::int64_t>(Shape::kMaxRank, 2)).count(), 256);
  EXPECT_THROW(Shape(std::vector<std::int64_t>(Shape::kMaxRank + 1, 1)), Error);
}

}  // namespace
}  // namespace ldmpi
