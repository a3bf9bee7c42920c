#include "base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace ldmpi {
namespace {

constexpr std::uint32_t kPolynomial = 0x82f63b78U;  // reflected 0x1edc6f41

constexpr auto kTables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) ? kPolynomial : 0U);
    tables[0][i] = crc;
  }
  for (std::uint32_t i = 0; i < 256; ++i)
    for (std::size_t t = 1; t < 8; ++t) tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xffU];
  return tables;
}();

#if defined(__SSE4_2__)
std::uint32_t step8(std::uint32_t crc, std::uint64_t word) {
  return static_cast<std::uint32_t>(_mm_crc32_u64(crc, word));
}
std::uint32_t step1(std::uint32_t crc, std::uint8_t byte) {
  return _mm_crc32_u8(crc, byte);
}
#elif defined(__ARM_FEATURE_CRC32)
std::uint32_t step8(std::uint32_t crc, std::uint64_t word) {
  return __crc32cd(crc, word);
}
std::uint32_t step1(std::uint32_t crc, std::uint8_t byte) {
  return __crc32cb(crc, byte);
}
#else
std::uint32_t step8(std::uint32_t crc, std::uint64_t word) {
  word ^= crc;
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < 8; ++i) next ^= kTables[7 - i][(word >> (8 * i)) & 0xffU];
  return next;
}
std::uint32_t step1(std::uint32_t crc, std::uint8_t byte) {
  return (crc >> 8) ^ kTables[0][(crc ^ byte) & 0xffU];
}
#endif

// Multiplies the CRC state by x^(8*4096) mod P by way of four byte-indexed tables, so that three independent
// instruction chains over neighbouring blocks can be joined.
constexpr std::size_t kBlock = 4096;
constexpr auto kShift = [] {
  std::array<std::array<std::uint32_t, 256>, 4> tables{};
  // One zero byte maps state s to (s >> 8) ^ T0[s & 255]; the map is linear, so shift each basis bit kBlock times.
  std::array<std::uint32_t, 32> basis{};
  for (std::uint32_t bit = 0; bit < 32; ++bit) basis[bit] = 1U << bit;
  auto square = [](const std::array<std::uint32_t, 32>& m) {
    std::array<std::uint32_t, 32> result{};
    for (std::size_t i = 0; i < 32; ++i) {
      std::uint32_t sum = 0;
      for (std::size_t j = 0; j < 32; ++j)
        if ((m[i] >> j) & 1U) sum ^= m[j];
      result[i] = sum;
    }
    return result;
  };
  for (auto& state : basis) state = (state >> 8) ^ kTables[0][state & 0xffU];
  for (std::size_t length = 1; length < kBlock; length *= 2) basis = square(basis);
  for (std::size_t t = 0; t < 4; ++t)
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t sum = 0;
      for (std::uint32_t bit = 0; bit < 8; ++bit)
        if ((i >> bit) & 1U) sum ^= basis[t * 8 + bit];
      tables[t][i] = sum;
    }
  return tables;
}();

std::uint32_t shift_block(std::uint32_t crc) {
  return kShift[0][crc & 0xffU] ^ kShift[1][(crc >> 8) & 0xffU] ^ kShift[2][(crc >> 16) & 0xffU] ^ kShift[3][crc >> 24];
}

std::uint64_t load8(const std::byte* p) {
  std::uint64_t word = 0;
  std::memcpy(&word, p, 8);
  return word;
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t previous) noexcept {
  std::uint32_t crc = ~previous;
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 3 * kBlock; p += 3 * kBlock, left -= 3 * kBlock) {
    std::uint32_t a = crc;
    std::uint32_t b = 0;
    std::uint32_t c = 0;
    for (std::size_t i = 0; i < kBlock; i += 8) {
      a = step8(a, load8(p + i));
      b = step8(b, load8(p + kBlock + i));
      c = step8(c, load8(p + 2 * kBlock + i));
    }
    crc = shift_block(shift_block(a) ^ b) ^ c;
  }
  for (; left >= 8; p += 8, left -= 8) crc = step8(crc, load8(p));
  for (; left > 0; ++p, --left) crc = step1(crc, std::to_integer<std::uint8_t>(*p));
  return ~crc;
}

}  // namespace ldmpi
