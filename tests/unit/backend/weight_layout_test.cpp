#include "backend/cpu/weight_layout.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/check.h"
#include "run_node.h"

namespace ldmpi::test {
namespace {

using backend::cpu::pack_weight;
using backend::cpu::unpack_weight;
using backend::cpu::weight_layout_of;

TEST(WeightLayout, ConvolutionsAreBlockedAllElseIsPlain) {
  EXPECT_EQ(weight_layout_of({320, 4, 3, 3}).tag, "OIhw8i8o");
  EXPECT_EQ(weight_layout_of({320, 4, 3, 3}).elements, 320 * 8 * 9);
  EXPECT_EQ(weight_layout_of({4, 20, 3, 3}).elements, 8 * 24 * 9);
  for (const Shape& shape : {Shape{7}, Shape{5, 7}, Shape{5, 7, 1, 1}}) {
    EXPECT_EQ(weight_layout_of(shape).tag, "plain");
    EXPECT_EQ(weight_layout_of(shape).elements, shape.count());
  }
}

TEST(WeightLayout, BlocksHoldEightOutputsOfOneInputSideBySide) {
  const Shape shape{16, 8, 3, 3};
  const auto canonical = random_floats(shape.count(), 1);
  std::vector<float> storage(static_cast<std::size_t>(weight_layout_of(shape).elements));
  pack_weight(shape, canonical, storage);
  const auto at = [&](int o, int i, int u, int v) {
    return canonical[static_cast<std::size_t>(((o * 8 + i) * 3 + u) * 3 + v)];
  };
  EXPECT_EQ(storage[0], at(0, 0, 0, 0));
  EXPECT_EQ(storage[7], at(7, 0, 0, 0));
  EXPECT_EQ(storage[8], at(0, 1, 0, 0));
  EXPECT_EQ(storage[64], at(0, 0, 0, 1));
  EXPECT_EQ(storage[9 * 64], at(8, 0, 0, 0));
}

TEST(WeightLayout, RoundTripKeepsEveryBitAndZeroesThePadding) {
  for (const Shape& shape : {Shape{8, 8, 3, 3}, Shape{320, 4, 3, 3}, Shape{4, 20, 3, 3}, Shape{13, 9, 5, 5},
                             Shape{1, 1, 3, 3}, Shape{6, 5, 1, 1}, Shape{11, 3}, Shape{9}}) {
    const auto canonical = random_floats(shape.count(), 2);
    std::vector<float> storage(static_cast<std::size_t>(weight_layout_of(shape).elements), 7.0F);
    std::vector<float> back(canonical.size());
    pack_weight(shape, canonical, storage);
    unpack_weight(shape, storage, back);
    EXPECT_EQ(back, canonical) << shape.text();
    EXPECT_EQ(std::ranges::count(storage, 0.0F), static_cast<std::ptrdiff_t>(storage.size() - canonical.size()));
    EXPECT_EQ(std::ranges::count(storage, 7.0F), 0) << shape.text();
  }
}

TEST(WeightLayout, WrongSizesAreRefused) {
  std::vector<float> canonical(72), storage(71);
  EXPECT_THROW(pack_weight({8, 1, 3, 3}, canonical, storage), Error);
  EXPECT_THROW(unpack_weight({8, 1, 3, 3}, storage, canonical), Error);
}

}  // namespace
}  // namespace ldmpi::test
