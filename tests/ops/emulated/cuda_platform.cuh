#pragma once
// Stands in front of the file of the same name in src/backend/cuda/platform: CUDA's words for g++, on the emulator.

#include <cmath>
#include <cstring>
#include <type_traits>

#include "base/dtype.h"
#include "emulator.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define threadIdx (::ldmpi::emulation::current().thread)
#define blockIdx (::ldmpi::emulation::current().block)
#define blockDim (::ldmpi::emulation::current().threads)
#define gridDim (::ldmpi::emulation::current().blocks)

struct dim3 {
  unsigned x, y, z;
  explicit dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

inline void __syncthreads(std::source_location at = std::source_location::current()) {
  ldmpi::emulation::wait_for_block(at);
}
inline void __syncwarp(unsigned = ~0U, std::source_location at = std::source_location::current()) {
  ldmpi::emulation::exchange(0, 0, at);
}
template <typename T>
T __shfl_xor_sync(unsigned, T value, int mask, int = 32, std::source_location at = std::source_location::current()) {
  static_assert(sizeof(T) <= 8);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = ldmpi::emulation::exchange(bits, ldmpi::emulation::lane() ^ static_cast<unsigned>(mask), at);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

namespace ldmpi::backend::cuda {

inline float widen_bf16(std::uint16_t bits) {
  return from_bf16(bits);
}
inline std::uint16_t narrow_bf16(float x) {
  return to_bf16(x);
}
inline float widen_f16(std::uint16_t bits) {
  return from_f16(bits);
}
inline std::uint16_t narrow_f16(float x) {
  return to_f16(x);
}

template <typename T>
T* shared_memory() {
  return static_cast<T*>(emulation::current().shared);
}

struct Grid {
  dim3 blocks;
  dim3 threads;
  std::size_t shared_bytes = 0;
};

/// Submits the kernel to its stream.
template <typename... P>
void launch(void (*kernel)(P...), const Grid& grid, CUstream_st* stream, std::type_identity_t<P>... args) {
  emulation::submit(stream, [=] {
    emulation::run({grid.blocks.x, grid.blocks.y, grid.blocks.z}, {grid.threads.x, grid.threads.y, grid.threads.z},
                   grid.shared_bytes, [&] { kernel(args...); });
  });
}

}  // namespace ldmpi::backend::cuda
