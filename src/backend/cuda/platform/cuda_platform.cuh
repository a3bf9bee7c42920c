#pragma once
// CUDA as the kernels see it: compiler, element conversions, shared memory, launches. The op tests put another file of
// this name in front of it (tests/ops/emulated), which runs the same kernels on the CPU.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "backend/cuda/host.h"

namespace ldmpi::backend::cuda {

__device__ __forceinline__ float widen_bf16(std::uint16_t bits) {
  return __bfloat162float(__ushort_as_bfloat16(bits));
}
__device__ __forceinline__ std::uint16_t narrow_bf16(float x) {
  return __bfloat16_as_ushort(__float2bfloat16_rn(x));
}
__device__ __forceinline__ float widen_f16(std::uint16_t bits) {
  return __half2float(__ushort_as_half(bits));
}
__device__ __forceinline__ std::uint16_t narrow_f16(float x) {
  return __half_as_ushort(__float2half_rn(x));
}

/// The block's shared memory, as much as the launch asked for, 16-byte aligned. Undefined at the start.
template <typename T>
__device__ __forceinline__ T* shared_memory() {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  return reinterpret_cast<T*>(shared_bytes);
}

struct Grid {
  dim3 blocks;
  dim3 threads;  ///< a multiple of 32 in all
  std::size_t shared_bytes = 0;
};

/// Enqueues a kernel. Throws Error(Internal) where the device refuses it.
template <typename... P>
void launch(void (*kernel)(P...), const Grid& grid, cudaStream_t stream, std::type_identity_t<P>... args) {
  constexpr std::size_t kGranted = 48 * 1024;  // without asking
  if (grid.shared_bytes > kGranted)
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(grid.shared_bytes));
  kernel<<<grid.blocks, grid.threads, grid.shared_bytes, stream>>>(args...);
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess)
    fail_launch(cudaGetErrorString(error), grid.blocks.x * grid.blocks.y * grid.blocks.z,
                grid.threads.x * grid.threads.y * grid.threads.z, grid.shared_bytes);
}

}  // namespace ldmpi::backend::cuda
