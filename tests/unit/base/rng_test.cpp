#include "base/rng.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

namespace ldmpi {
namespace {

std::vector<std::uint32_t> words(const Philox4& p) {
  return {p.x, p.y, p.z, p.w};
}

TEST(Philox, KnownAnswersOfRandom123) {
  EXPECT_EQ(words(philox({0, 0, 0, 0}, 0)),
            (std::vector<std::uint32_t>{0x6627e8d5U, 0xe169c58dU, 0xbc57ac4cU, 0x9b00dbd8U}));
  EXPECT_EQ(words(philox({~0U, ~0U, ~0U, ~0U}, ~0ULL)),
            (std::vector<std::uint32_t>{0x408f276dU, 0x41c83b0eU, 0xa20bc7c6U, 0x6d5451fdU}));
  EXPECT_EQ(words(philox({0x243f6a88U, 0x85a308d3U, 0x13198a2eU, 0x03707344U}, 0x299f31d0a4093822ULL)),
            (std::vector<std::uint32_t>{0xd16cfe09U, 0x94fdccebU, 0x5001e420U, 0x24126ea1U}));
}

TEST(Uniform, IsInsideTheUnitIntervalAndRises) {
  float previous = 0;
  for (std::uint32_t bits : {0U, 0x100U, 0x1000U, 0x7fffff00U, 0x80000000U, 0xc0000000U, 0xfffffd00U}) {
    const float u = uniform_from_bits(bits);
    EXPECT_GT(u, previous) << bits;
    EXPECT_LT(u, 1.0F) << bits;
    previous = u;
  }
}

TEST(Normal, IsTheInverseOfTheDistribution) {
  for (int i = 1; i < 4000; ++i) {
    const float u = static_cast<float>(i) / 4000;
    const double z = normal_from_uniform(u);
    // The error of z seen through the density, against the rounding of u itself.
    EXPECT_NEAR(0.5 * std::erfc(-z / std::sqrt(2.0)), static_cast<double>(u), 1e-6) << u;
  }
  EXPECT_NEAR(normal_from_uniform(0.975F), 1.959964, 1e-5);
  EXPECT_NEAR(normal_from_uniform(0.001F), -3.090232, 1e-5);
  EXPECT_NEAR(normal_from_uniform(1e-6F), -4.753424, 2e-5);
  EXPECT_NEAR(normal_from_uniform(uniform_from_bits(0)), -5.4205, 1e-3);
  EXPECT_EQ(normal_from_uniform(0.5F), 0.0F);
}

TEST(LogUnit, MatchesTheLogarithm) {
  for (float x = 1e-30F; x < 1.0F; x *= 1.0371F)
    EXPECT_NEAR(log_unit(x), std::log(static_cast<double>(x)), 3e-7 + 1e-6 * std::abs(std::log(x))) << x;
}

TEST(Draw, MomentsAndQuantilesOfManyNormals) {
  const Draw draw{.seed = 7, .purpose = Purpose::Noise, .index = 3};
  constexpr std::size_t kCount = 1 << 20;
  std::vector<float> values(kCount);
  double sums[4] = {};
  for (std::size_t i = 0; i < kCount; ++i) {
    values[i] = draw.normal(i);
    double power = 1;
    for (auto& sum : sums) sum += power *= values[i];
  }
  const double n = kCount;  // standard errors: 1e-3, 1.4e-3, 3.8e-3, 9.6e-3; four of them are allowed
  EXPECT_NEAR(sums[0] / n, 0, 4e-3);
  EXPECT_NEAR(sums[1] / n, 1, 5.6e-3);
  EXPECT_NEAR(sums[2] / n, 0, 1.6e-2);
  EXPECT_NEAR(sums[3] / n, 3, 4e-2);
  std::sort(values.begin(), values.end());
  for (const auto& [p, z] : {std::pair{0.001, -3.0902}, {0.05, -1.6449}, {0.5, 0.0}, {0.841345, 1.0}, {0.999, 3.0902}})
    EXPECT_NEAR(values[static_cast<std::size_t>(p * n)], z, 0.04) << p;
}

TEST(Draw, NeighboursAreNotCorrelated) {
  const Draw draw{.seed = 1, .purpose = Purpose::Noise, .index = 0};
  constexpr std::uint64_t kCount = 200000;
  for (std::uint64_t lag : {1U, 2U, 4U, 64U}) {
    double sum = 0;
    for (std::uint64_t i = 0; i < kCount; ++i) sum += static_cast<double>(draw.normal(i)) * draw.normal(i + lag);
    EXPECT_NEAR(sum / kCount, 0, 4 / std::sqrt(static_cast<double>(kCount))) << lag;
  }
}

TEST(Draw, StreamsDifferBySeedPurposeAndIndex) {
  std::set<std::vector<std::uint32_t>> seen;
  for (std::uint64_t seed : {0ULL, 1ULL, 1ULL << 32})
    for (auto purpose :
         {Purpose::Initialize, Purpose::Timestep, Purpose::Noise, Purpose::OffsetNoise, Purpose::CaptionDrop,
          Purpose::Posterior, Purpose::Sampler, Purpose::Order, Purpose::Synthetic, Purpose::Validation})
      for (std::uint64_t index : {0ULL, 1ULL, 1ULL << 32, (1ULL << 32) + 1})
        for (std::uint64_t block : {0ULL, 1ULL, 12345ULL})
          EXPECT_TRUE(seen.insert(words(Draw{seed, purpose, index}.words(block))).second)
              << seed << ' ' << static_cast<int>(purpose) << ' ' << index << ' ' << block;
}

TEST(Draw, ElementsAreTheWordsOfTheirBlock) {
  const Draw draw{.seed = 5, .purpose = Purpose::Order, .index = 9};
  const auto block = words(draw.words(6));
  for (std::uint64_t i = 0; i < 4; ++i) EXPECT_EQ(draw.bits(24 + i), block[i]);
}

TEST(Draw, BelowReachesEveryNumberEvenly) {
  const Draw draw{.seed = 5, .purpose = Purpose::Order, .index = 9};
  std::vector<int> hits(7, 0);
  for (std::uint64_t i = 0; i < 70000; ++i) ++hits.at(draw.below(i, 7));
  for (int hit : hits) EXPECT_NEAR(hit, 10000, 400);
}

TEST(NameHash, IsFnv1a) {
  EXPECT_EQ(name_hash("", 0), 0xcbf29ce484222325ULL);
  EXPECT_EQ(name_hash("a", 1), 0xaf63dc4c8601ec8cULL);
  EXPECT_EQ(name_hash("foobar", 6), 0x85944171f73967e8ULL);
}

}  // namespace
}  // namespace ldmpi
