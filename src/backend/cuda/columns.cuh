#pragma once
// Sums down the columns of a matrix in two stages of fixed shape: blocks sum pieces of rows in f32, the pieces are
// joined in f64. No atomics: equal bits in every run.

#include <bit>

#include "backend/cuda/element.cuh"

namespace ldmpi::backend::cuda {

/// How a block covers a piece of rows: `across` threads side by side, each with N columns, `down` such rows at a time.
struct Slab {
  int across;
  int down;
  std::int64_t count;  ///< slabs side by side

  Slab(std::int64_t columns, int width) {
    const auto vectors = static_cast<std::uint64_t>(ceil_div(columns, width));
    across = static_cast<int>(vectors >= 32 ? 32 : std::bit_ceil(vectors));
    down = kThreads / across;
    count = ceil_div(columns, std::int64_t{across} * width);
  }
  /// A grid of slabs, pieces and runs, with shared memory for `sums` numbers a column.
  [[nodiscard]] Grid grid(int width, std::int64_t pieces, std::int64_t runs, int sums) const {
    return {dim3(static_cast<unsigned>(count), static_cast<unsigned>(pieces), static_cast<unsigned>(runs)),
            dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)),
            static_cast<std::size_t>(kThreads * width * sums) * sizeof(float)};
  }
};

/// The first of this thread's N columns.
template <int N>
__device__ __forceinline__ std::int64_t own_column() {
  return (static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * N;
}

/// The rows of piece blockIdx.y of run blockIdx.z; a thread takes begin + threadIdx.y and every blockDim.y-th behind it.
struct Rows {
  std::int64_t begin;
  std::int64_t end;
};
__device__ __forceinline__ Rows rows_of_piece(const Pieces& pieces) {
  const std::int64_t first = blockIdx.y * pieces.size;
  const std::int64_t last = first + pieces.size < pieces.extent ? first + pieces.size : pieces.extent;
  const std::int64_t run = blockIdx.z * pieces.extent;
  return {run + first, run + last};
}

/// Adds each thread's K x N sums over the threads of its column: out[k * columns + column].
template <int N, int K>
__device__ void sum_down(const Floats<N> (&sums)[K], std::int64_t columns, float* out) {
  auto* shared = shared_memory<float>();
  const int width = static_cast<int>(blockDim.x) * N;
  const int height = static_cast<int>(blockDim.y);
  for (int k = 0; k < K; ++k)
    for (int i = 0; i < N; ++i)
      shared[(k * height + static_cast<int>(threadIdx.y)) * width + static_cast<int>(threadIdx.x) * N + i] =
          sums[k].at[i];
  __syncthreads();
  const int first = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  for (int c = first; c < width; c += kThreads) {
    const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * width + c;
    if (column >= columns) continue;
    for (int k = 0; k < K; ++k) {
      float total = 0;
      for (int y = 0; y < height; ++y) total += shared[(k * height + y) * width + c];
      out[k * columns + column] = total;
    }
  }
}

/// Where joined sums go: K vectors of `columns`, one row per run.
template <typename T, int K>
struct Joined {
  T* out[K];
  std::int64_t pitch;
};

/// The pieces of each run, partial[run][piece][K * columns], added up. Blocks of 32 columns x 8.
template <typename T, int K>
__global__ void __launch_bounds__(kThreads)
    join_kernel(const float* partial, std::int64_t pieces, std::int64_t columns, Joined<T, K> to) {
  auto* shared = shared_memory<double>();
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * 32 + threadIdx.x;
  const std::int64_t run = blockIdx.y;
  const std::int64_t step = K * columns;
  double sum = 0;
  if (i < step)
    for (std::int64_t piece = threadIdx.y; piece < pieces; piece += 8)
      sum += static_cast<double>(partial[(run * pieces + piece) * step + i]);
  shared[threadIdx.y * 32 + threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || i >= step) return;
  for (int y = 1; y < 8; ++y) sum += shared[y * 32 + threadIdx.x];
  for (int k = 0; k < K; ++k)
    if (i / columns == k) to.out[k][run * to.pitch + i % columns] = from_float<T>(static_cast<float>(sum));
}

template <typename T, int K>
void join(const float* partial, std::int64_t runs, std::int64_t pieces, std::int64_t columns, const Joined<T, K>& to,
          Stream stream) {
  launch(join_kernel<T, K>,
         {dim3(static_cast<unsigned>(ceil_div(K * columns, 32)), static_cast<unsigned>(runs)), dim3(32, 8),
          kThreads * sizeof(double)},
         stream, partial, pieces, columns, to);
}

}  // namespace ldmpi::backend::cuda
