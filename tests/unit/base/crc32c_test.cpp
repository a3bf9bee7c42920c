#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace ldmpi {
namespace {

// The definition, one bit at a time.
std::uint32_t bitwise(std::span<const std::byte> bytes) {
  std::uint32_t crc = ~0U;
  for (auto byte : bytes) {
    crc ^= std::to_integer<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
  }
  return ~crc;
}

std::vector<std::byte> sequence(std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::uint32_t state = 1;
  for (auto& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

TEST(Crc32c, PublishedVectors) {
  const std::string_view digits = "123456789";
  EXPECT_EQ(crc32c(std::as_bytes(std::span(digits))), 0xe3069283U);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0})), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::vector<std::byte>(32, std::byte{0xff})), 0x62a8ab43U);
  std::vector<std::byte> rising(32);
  for (std::size_t i = 0; i < 32; ++i) rising[i] = static_cast<std::byte>(i);
  EXPECT_EQ(crc32c(rising), 0x46dd794eU);
  EXPECT_EQ(crc32c({}), 0U);
}

TEST(Crc32c, LongBuffersAtAnyOffsetMatchTheDefinition) {
  const auto bytes = sequence(60000);
  for (std::size_t begin : {0U, 1U, 3U, 7U})
    for (std::size_t size : {1U, 7U, 8U, 4095U, 12287U, 12288U, 12289U, 24576U, 30001U, 50000U}) {
      const auto part = std::span(bytes).subspan(begin, size);
      EXPECT_EQ(crc32c(part), bitwise(part)) << begin << ' ' << size;
    }
}

TEST(Crc32c, ContinuesAtAnySplit) {
  const auto bytes = sequence(40000);
  const auto whole = crc32c(bytes);
  for (std::size_t split : {0U, 1U, 9U, 4096U, 12288U, 20001U, 39999U, 40000U})
    EXPECT_EQ(crc32c(std::span(bytes).subspan(split), crc32c(std::span(bytes).first(split))), whole) << split;
}

TEST(Crc32c, SeesEveryFlippedBit) {
  auto bytes = sequence(100);
  const auto before = crc32c(bytes);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    for (unsigned bit = 0; bit < 8; ++bit) {
      bytes[i] ^= static_cast<std::byte>(1U << bit);
      EXPECT_NE(crc32c(bytes), before) << i << ' ' << bit;
      bytes[i] ^= static_cast<std::byte>(1U << bit);
    }
}

}  // namespace
}  // namespace ldmpi
