#pragma once
// Float elements of any stored type, read and written as f32, one by one or 16 bytes at a time.

#include <cuda_platform.cuh>

#include "backend/cuda/host.h"
#include "base/dtype.h"

namespace ldmpi::backend::cuda {

struct Bf16 {
  std::uint16_t bits;
};
struct F16 {
  std::uint16_t bits;
};

__device__ __forceinline__ float to_float(float x) {
  return x;
}
__device__ __forceinline__ float to_float(Bf16 x) {
  return widen_bf16(x.bits);
}
__device__ __forceinline__ float to_float(F16 x) {
  return widen_f16(x.bits);
}

template <typename T>
__device__ __forceinline__ T from_float(float x) {
  if constexpr (std::is_same_v<T, Bf16>) {
    return {narrow_bf16(x)};
  } else if constexpr (std::is_same_v<T, F16>) {
    return {narrow_f16(x)};
  } else {
    return x;
  }
}

/// Elements of one 16-byte access.
template <typename T>
inline constexpr int kWide = 16 / static_cast<int>(sizeof(T));
/// The same where two types meet: the narrower one fills 16 bytes, the other takes two accesses.
template <typename A, typename B>
inline constexpr int kWidest = kWide<A> > kWide<B> ? kWide<A> : kWide<B>;

template <typename T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  T at[N];
};

template <int N>
struct Floats {
  float at[N];
};

template <int N, typename T>
__device__ __forceinline__ Floats<N> load(const T* from) {
  const auto pack = *reinterpret_cast<const Pack<T, N>*>(from);
  Floats<N> result;
  for (int i = 0; i < N; ++i) result.at[i] = to_float(pack.at[i]);
  return result;
}

template <int N, typename T>
__device__ __forceinline__ void store(T* to, const Floats<N>& values) {
  Pack<T, N> pack;
  for (int i = 0; i < N; ++i) pack.at[i] = from_float<T>(values.at[i]);
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

/// use(T{}) with the element type T of a float dtype.
template <typename Use>
auto with_float(DType type, const Use& use) {
  if (type == DType::BF16) return use(Bf16{});
  if (type == DType::F16) return use(F16{});
  expect_float(type);
  return use(float{});
}

/// use(std::integral_constant<int, n>) with n = kWidth where `wide`, else 1.
template <int kWidth, typename Use>
auto with_width(bool wide, const Use& use) {
  if (wide) return use(std::integral_constant<int, kWidth>{});
  return use(std::integral_constant<int, 1>{});
}

/// Whether rows of this type can be read `width` elements at a time, given an aligned base.
[[nodiscard]] inline bool fits_wide(const ir::Type& type, int width) {
  const auto bytes = static_cast<std::int64_t>(size_of(type.dtype)) * width;
  const std::int64_t step = type.row_pitch() * static_cast<std::int64_t>(size_of(type.dtype));
  return type.columns() % width == 0 && step % (bytes < 16 ? bytes : 16) == 0;
}

}  // namespace ldmpi::backend::cuda
