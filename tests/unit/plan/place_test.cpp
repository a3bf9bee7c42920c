#include "plan/place.h"

#include <gtest/gtest.h>

#include <random>

namespace ldmpi::plan {
namespace {

Slice slice(std::int64_t bytes, int first, int last) {
  return {bytes, first, last, 0, {}};
}

void expect_sound(const std::vector<Slice>& slices, std::int64_t total) {
  std::int64_t top = 0;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const auto& a = slices[i];
    EXPECT_GE(a.offset, 0);
    top = std::max(top, a.offset + a.bytes);
    for (std::size_t j = 0; j < i; ++j) {
      const auto& b = slices[j];
      const bool together = a.first <= b.last && b.first <= a.last;
      const bool overlap = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      EXPECT_FALSE(together && overlap) << i << " and " << j;
    }
  }
  EXPECT_EQ(top, total);
}

std::int64_t peak_by_definition(const std::vector<Slice>& slices, int nodes) {
  std::int64_t peak = 0;
  for (int n = 0; n < nodes; ++n) {
    std::int64_t alive = 0;
    for (const auto& s : slices) alive += s.first <= n && n <= s.last ? s.bytes : 0;
    peak = std::max(peak, alive);
  }
  return peak;
}

TEST(PlaceSlices, RandomLifetimesNeverOverlapAndStayAboveTheBound) {
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    const int nodes = 5 + round;
    std::vector<Slice> slices;
    for (int i = 0; i < 4 * nodes; ++i) {
      const int first = static_cast<int>(random() % static_cast<unsigned>(nodes));
      const int length = static_cast<int>(random() % (i % 5 == 0 ? static_cast<unsigned>(nodes) : 4U));
      slices.push_back(
          slice(64 * static_cast<std::int64_t>(1 + random() % 40), first, std::min(nodes - 1, first + length)));
    }
    const auto bound = peak_live_bytes(slices);
    EXPECT_EQ(bound, peak_by_definition(slices, nodes));
    auto again = slices;
    const auto total = place_slices(slices);
    EXPECT_GE(total, bound);
    expect_sound(slices, total);
    EXPECT_EQ(place_slices(again), total);
    for (std::size_t i = 0; i < slices.size(); ++i) EXPECT_EQ(again[i].offset, slices[i].offset) << "not deterministic";
  }
}

TEST(PlaceSlices, ForwardAndBackwardOfAChainLoseNothing) {
  // Kept activations of a net and a temporary at every node: the shape of every training step.
  std::vector<Slice> slices;
  constexpr int kLayers = 20;
  for (int i = 0; i < kLayers; ++i) {
    slices.push_back(slice(640, i, 2 * kLayers - 1 - i));
    slices.push_back(slice(64 * (1 + i % 3), i, i));
    slices.push_back(slice(640, 2 * kLayers - 2 - i, 2 * kLayers - 1 - i));
  }
  const auto bound = peak_live_bytes(slices);
  const auto total = place_slices(slices);
  expect_sound(slices, total);
  EXPECT_LE(static_cast<double>(total), 1.05 * static_cast<double>(bound));
}

TEST(PlaceSlices, MemoryIsUsedAgainAndNothingNeedsNothing) {
  std::vector<Slice> none;
  EXPECT_EQ(place_slices(none), 0);
  EXPECT_EQ(peak_live_bytes(none), 0);
  std::vector<Slice> apart{slice(128, 0, 1), slice(128, 2, 3)};
  EXPECT_EQ(place_slices(apart), 128);
  std::vector<Slice> together{slice(128, 0, 2), slice(128, 2, 3)};
  EXPECT_EQ(place_slices(together), 256) << "a node reads and writes at once";
}

}  // namespace
}  // namespace ldmpi::plan
