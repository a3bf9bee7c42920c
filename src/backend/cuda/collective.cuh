#pragma once
// Sums over the threads of a block or a warp, in an order that depends on nothing else.

#include <cuda_platform.cuh>

namespace ldmpi::backend::cuda {

/// The sum over a block whose blockDim.x is a power of two and its only extent, in every thread. Needs blockDim.x
/// doubles of shared memory, which are free again behind it.
__device__ __forceinline__ double block_sum(double value) {
  auto* shared = shared_memory<double>();
  shared[threadIdx.x] = value;
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
    __syncthreads();
  }
  const double sum = shared[0];
  __syncthreads();
  return sum;
}

/// The sum over the 32 lanes of a warp, in each of them.
__device__ __forceinline__ float warp_sum(float value) {
  for (int mask = 16; mask > 0; mask /= 2) value += __shfl_xor_sync(~0U, value, mask);
  return value;
}

}  // namespace ldmpi::backend::cuda
