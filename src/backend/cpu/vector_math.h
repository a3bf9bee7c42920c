#pragma once
// Elementary functions that vectorise: written once for a float (loops under `omp simd`) and for Float8.
// Polynomials are minimax fits on the stated ranges; arguments outside are clamped, NaN stays NaN.

#include <bit>
#include <cmath>
#include <cstdint>

namespace ldmpi::backend::cpu {

using Float8 [[gnu::vector_size(32)]] = float;
using Word8 [[gnu::vector_size(32)]] = std::uint32_t;
/// Float8 at any float's address.
using Float8Memory [[gnu::vector_size(32), gnu::aligned(4), gnu::may_alias]] = float;

template <typename V>
struct WordsOf;
template <>
struct WordsOf<float> {
  using Type = std::uint32_t;
};
template <>
struct WordsOf<Float8> {
  using Type = Word8;
};

namespace detail {

inline constexpr float kLog2E = 1.44269504F;
/// Adding 1.5 * 2^23 rounds to an integer that then stands in the low bits.
inline constexpr float kRounder = 12582912.0F;

template <typename V>
[[gnu::always_inline]] inline V clamp(V x, float low, float high) {
  const V lowest = V{} + low;
  const V highest = V{} + high;
  x = x < lowest ? lowest : x;
  return x > highest ? highest : x;
}

/// 2^f * 2^n, f in [-0.5, 0.5] (relative error 2e-9 before rounding), n in the low bits of `rounded`.
template <typename V>
[[gnu::always_inline]] inline V scaled_power(V f, V rounded) {
  using Words = typename WordsOf<V>::Type;
  V p = f * 0.000153458122F + 0.00133999312F;
  p = p * f + 0.00961848896F;
  p = p * f + 0.0555032878F;
  p = p * f + 0.240226469F;
  p = p * f + 0.693147206F;
  p = p * f + 1.0F;
  return std::bit_cast<V>(std::bit_cast<Words>(p) + (std::bit_cast<Words>(rounded) << 23));
}

}  // namespace detail

/// 2^x for x in [-100, 127.4], within 2 ulp. The lower end is far above the subnormal numbers, which cost 100 cycles.
template <typename V>
[[gnu::always_inline]] inline V exp2_of(V x) {
  x = detail::clamp(x, -100.0F, 127.4F);
  const V rounded = x + detail::kRounder;
  return detail::scaled_power(x - (rounded - detail::kRounder), rounded);
}

/// e^x for x in [low, high], within 2 ulp.
template <typename V>
[[gnu::always_inline]] inline V exp_of(V x, float low = -87.3F, float high = 88.3F) {
  x = detail::clamp(x, low, high);
  const V rounded = x * detail::kLog2E + detail::kRounder;
  const V n = rounded - detail::kRounder;
  const V r = (x - n * 0.693359375F) + n * 2.12194440e-4F;  // ln 2 in two parts: the first product is exact
  return detail::scaled_power(r * detail::kLog2E, rounded);
}

// The narrower ranges below keep every product normal: the compiler evaluates the clamped case for all elements.
[[gnu::always_inline]] inline float sigmoid(float x) {
  return 1.0F / (1.0F + exp_of(-x, -60.0F, 60.0F));
}
[[gnu::always_inline]] inline float silu(float x) {
  return x * sigmoid(x);
}
[[gnu::always_inline]] inline float silu_slope(float x) {
  const float e = exp_of(-x, -60.0F, 60.0F);
  const float s = 1.0F / (1.0F + e);
  return s * (1.0F + x * (e * s));  // e * s = 1 - s without its cancellation
}

/// The standard normal distribution at x: cdf (relative error 3e-7 in the lower tail) and density.
struct Normal {
  float cdf;
  float density;
};
[[gnu::always_inline]] inline Normal normal_at(float x) {
  const float t = std::fabs(x);
  const float u = 1.0F / (1.0F + 0.3F * t);
  const float e = exp_of(-0.5F * t * t, -80.0F, 0.0F);
  float p = u * 0.0356747704F - 0.157203067F;  // Mills' ratio as a polynomial in u
  p = p * u + 0.206353481F;
  p = p * u - 0.0536836215F;
  p = p * u + 0.128561615F;
  p = p * u + 0.0999134954F;
  p = p * u + 0.120753956F;
  p = p * u + 0.119629299F;
  const float tail = e * u * p;
  return {x < 0.0F ? tail : 1.0F - tail, 0.398942280F * e};
}
[[gnu::always_inline]] inline float gelu(float x) {
  return x * normal_at(x).cdf;
}
[[gnu::always_inline]] inline float gelu_slope(float x) {
  const Normal n = normal_at(x);
  return n.cdf + x * n.density;
}

}  // namespace ldmpi::backend::cpu
