#pragma once
// What attention and its gradient share: heads as matrices, and how a block covers a tile of one. A tile has kTile rows
// with kThreads / kTile lanes each; a lane has every kLanes-th column. All of a row's lanes are in one warp.

#include <type_traits>

#include "backend/cuda/element.cuh"

namespace ldmpi::backend::cuda {

inline constexpr float kLog2E = 1.44269504F;
inline constexpr float kLn2 = 0.693147181F;
inline constexpr std::int64_t kWidestHead = 256;

/// Sizes of an attention: blocks are tiles of rows by heads by samples.
struct Heads {
  std::int64_t batch;
  std::int64_t heads;
  std::int64_t queries;
  std::int64_t keys;
  int width;
  float scale;  ///< of the scores

  [[nodiscard]] Grid grid(std::int64_t rows, int tile, std::int64_t shared_floats) const {
    return {dim3(static_cast<unsigned>(ceil_div(rows, tile)), static_cast<unsigned>(heads),
                 static_cast<unsigned>(batch)),
            dim3(kThreads), static_cast<std::size_t>(shared_floats) * sizeof(float)};
  }
  /// The first number of the block's head in a [batch * heads, queries] array.
  [[nodiscard]] __device__ std::int64_t first_query() const { return (blockIdx.z * heads + blockIdx.y) * queries; }
};

/// [batch * rows, heads * width] in memory.
template <typename T>
struct HeadMatrix {
  T* data;
  std::int64_t pitch;
  std::int64_t rows;  ///< of a sample

  [[nodiscard]] __device__ T* row(std::int64_t r, int width) const {
    return data + (blockIdx.z * rows + r) * pitch + static_cast<std::int64_t>(blockIdx.y) * width;
  }
};

template <int kTile>
struct Tiling {
  static constexpr int kLanes = kThreads / kTile;
  static constexpr int kScores = kTile / kLanes;  ///< scores of a lane in a tile of kTile x kTile

  /// Floats from one row of a tile to the next: odd for even widths, so that lanes meet different banks.
  [[nodiscard]] static constexpr int pitch(int width) { return width | 1; }
  [[nodiscard]] static constexpr int floats(int width) { return kTile * pitch(width); }
  static constexpr int kScoreFloats = kTile * (kTile + 1);

  [[nodiscard]] static __device__ int row() { return static_cast<int>(threadIdx.x) / kLanes; }
  [[nodiscard]] static __device__ int lane() { return static_cast<int>(threadIdx.x) % kLanes; }

  /// Rows `first` and on times `factor` into shared memory; zeros behind the last one.
  template <typename T>
  static __device__ void load(const HeadMatrix<const T>& from, std::int64_t first, int width, float factor,
                              float* tile) {
    for (int i = static_cast<int>(threadIdx.x); i < kTile * width; i += kThreads) {
      const int r = i / width;
      const int c = i % width;
      tile[r * pitch(width) + c] =
          first + r < from.rows ? to_float(from.row(first + r, width)[c]) * factor : 0.0F;
    }
  }

  static __device__ float dot(const float* a, const float* b, int width) {
    float sum = 0;
    for (int c = 0; c < width; ++c) sum += a[c] * b[c];
    return sum;
  }
};

/// use(std::integral_constant<int, rows of a tile>, <int, columns of a lane>) for this width.
template <typename Use>
auto with_tiling(int width, const Use& use) {
  using std::integral_constant;
  if (width <= 64) return use(integral_constant<int, 32>{}, integral_constant<int, 8>{});
  if (width <= 128) return use(integral_constant<int, 32>{}, integral_constant<int, 16>{});
  return use(integral_constant<int, 16>{}, integral_constant<int, 16>{});
}

/// Throws Error(Internal) for heads wider than kWidestHead.
[[nodiscard]] Heads heads_of(const ir::Attention& op, const ir::Type& q, const ir::Type& k);

}  // namespace ldmpi::backend::cuda
