#pragma once
// Activations and their slopes: the formulas of the CPU backend with the device's own exponential.

#include <cuda_platform.cuh>

namespace ldmpi::backend::cuda {

/// e^-x, finite: so that products with it stay numbers far out; NaN stays NaN.
__device__ __forceinline__ float decay_of(float x) {
  return expf(x < -60.0F ? 60.0F : -x);
}
__device__ __forceinline__ float silu(float x) {
  return x / (1.0F + decay_of(x));
}
__device__ __forceinline__ float silu_slope(float x) {
  const float e = decay_of(x);
  const float s = 1.0F / (1.0F + e);
  return s * (1.0F + x * (e * s));  // e * s = 1 - s without its cancellation
}

/// The standard normal distribution at x: cdf (relative error 3e-7 in the lower tail) and density.
struct Normal {
  float cdf;
  float density;
};
__device__ __forceinline__ Normal normal_at(float x) {
  const float t = fabsf(x);
  const float u = 1.0F / (1.0F + 0.3F * t);
  const float e = expf(-0.5F * t * t);
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
__device__ __forceinline__ float gelu(float x) {
  return x * normal_at(x).cdf;
}
__device__ __forceinline__ float gelu_slope(float x) {
  const Normal n = normal_at(x);
  return n.cdf + x * n.density;
}

}  // namespace ldmpi::backend::cuda
