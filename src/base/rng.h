#pragma once
// Counter-based random numbers: Philox4x32-10 (Salmon et al., SC'11) and a Gaussian made of IEEE operations only,
// so that host and device, at any thread or rank count, draw the same bits.

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define LDMPI_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define LDMPI_HOST_DEVICE inline
#endif

namespace ldmpi {

/// What a draw is for; part of the counter, so that no two purposes share numbers.
enum class Purpose : std::uint32_t {
  Initialize = 1,
  Timestep = 2,
  Noise = 3,
  OffsetNoise = 4,
  CaptionDrop = 5,
  Posterior = 6,
  Sampler = 7,
  Order = 8,
  Synthetic = 9,
  Validation = 10,
};

struct Philox4 {
  std::uint32_t x, y, z, w;
};

/// Ten rounds of Philox4x32 on counter `c` with the 64-bit key.
LDMPI_HOST_DEVICE Philox4 philox(Philox4 c, std::uint64_t key) {
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = static_cast<std::uint64_t>(0xD2511F53U) * c.x;
    const std::uint64_t b = static_cast<std::uint64_t>(0xCD9E8D57U) * c.z;
    c = {static_cast<std::uint32_t>(b >> 32) ^ c.y ^ k0, static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ c.w ^ k1, static_cast<std::uint32_t>(a)};
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return c;
}

/// (0,1) with 24 bits: exact in float.
LDMPI_HOST_DEVICE float uniform_from_bits(std::uint32_t bits) {
  return (static_cast<float>(bits >> 8) + 0.5F) * (1.0F / 16777216.0F);
}

/// Natural logarithm for normal x in (0,1): exponent split and an atanh series; +,-,*,/ and fma only.
LDMPI_HOST_DEVICE float log_unit(float x) {
  auto bits = std::bit_cast<std::uint32_t>(x);
  int exponent = static_cast<int>(bits >> 23) - 127;
  float m = std::bit_cast<float>((bits & 0x7fffffU) | 0x3f800000U);
  if (m > 1.41421356F) {
    m *= 0.5F;
    ++exponent;
  }
  const float t = (m - 1.0F) / (m + 1.0F);
  const float q = t * t;
  float p = fmaf(q, 1.0F / 9, 1.0F / 7);
  p = fmaf(q, p, 0.2F);
  p = fmaf(q, p, 1.0F / 3);
  p = fmaf(q, p, 1.0F);
  return fmaf(static_cast<float>(exponent), 0.693147181F, 2.0F * t * p);
}

/// Standard normal quantile of u in (0,1): Giles' single-precision inverse error function (2010).
LDMPI_HOST_DEVICE float normal_from_uniform(float u) {
  const float c[9] = {2.81022636e-08F, 3.43273939e-07F, -3.5233877e-06F, -4.39150654e-06F, 0.00021858087F,
                      -0.00125372503F, -0.00417768164F, 0.246640727F,    1.50140941F};
  const float d[9] = {-0.000200214257F, 0.000100950558F, 0.00134934322F, -0.00367342844F, 0.00573950773F,
                      -0.0076224613F,   0.00943887047F,  1.00167406F,    2.83297682F};
  const float x = 2.0F * u - 1.0F;
  const float l = -log_unit(4.0F * u * (1.0F - u));  // -log((1-x)(1+x))
  const bool middle = l < 5.0F;
  const float w = middle ? l - 2.5F : sqrtf(l) - 3.0F;
  float p = middle ? c[0] : d[0];
  for (int i = 1; i < 9; ++i) p = fmaf(p, w, middle ? c[i] : d[i]);
  return 1.41421356F * p * x;
}

/// One stream of numbers: keyed by seed, purpose and a draw index; element i is a pure function of the four.
/// For tensors the draw index counts samples consumed (design: never repeated after a rollback) and i runs over
/// the sample in canonical [C,H,W] order.
struct Draw {
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::Noise;
  std::uint64_t index = 0;

  /// Four words for elements 4*block .. 4*block+3 (block < 2^28).
  [[nodiscard]] LDMPI_HOST_DEVICE Philox4 words(std::uint64_t block) const {
    return philox(
        {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
         (static_cast<std::uint32_t>(block >> 32) << 8) | static_cast<std::uint32_t>(purpose)},
        seed);
  }
  [[nodiscard]] LDMPI_HOST_DEVICE std::uint32_t bits(std::uint64_t i) const {
    const Philox4 r = words(i >> 2);
    switch (i & 3U) {
      case 0: return r.x;
      case 1: return r.y;
      case 2: return r.z;
      default: return r.w;
    }
  }
  [[nodiscard]] LDMPI_HOST_DEVICE float uniform(std::uint64_t i) const { return uniform_from_bits(bits(i)); }
  [[nodiscard]] LDMPI_HOST_DEVICE float normal(std::uint64_t i) const { return normal_from_uniform(uniform(i)); }
  /// Integer in [0, bound), bound < 2^32, by multiply-shift of 32 bits (bias below bound / 2^32).
  [[nodiscard]] LDMPI_HOST_DEVICE std::uint32_t below(std::uint64_t i, std::uint32_t bound) const {
    return static_cast<std::uint32_t>((static_cast<std::uint64_t>(bits(i)) * bound) >> 32);
  }
};

/// FNV-1a of a name: the draw index of a named tensor's initial values.
[[nodiscard]] constexpr std::uint64_t name_hash(const char* data, std::size_t size) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<unsigned char>(data[i])) * 0x100000001b3ULL;
  return hash;
}

}  // namespace ldmpi
