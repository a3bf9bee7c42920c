// Attention forward: a block has a tile of queries and goes over the keys with a running softmax.

#include <cmath>

#include "backend/cuda/attention.cuh"
#include "backend/cuda/kernels.h"

namespace ldmpi::backend::cuda {

Heads heads_of(const ir::Attention& op, const ir::Type& q, const ir::Type& k) {
  const std::int64_t width = q.columns() / op.heads;
  expect_head_width(width, kWidestHead);
  return {op.batch,
          op.heads,
          q.rows() / op.batch,
          k.rows() / op.batch,
          static_cast<int>(width),
          static_cast<float>(1.0 / std::sqrt(static_cast<double>(width)))};
}

namespace {

template <typename T>
struct Operands {
  HeadMatrix<const T> q;
  HeadMatrix<const T> k;
  HeadMatrix<const T> v;
  HeadMatrix<T> o;
  float* lse;
};

template <int kLanes>
__device__ __forceinline__ float lanes_max(float value) {
  for (int mask = kLanes / 2; mask > 0; mask /= 2) value = fmaxf(value, __shfl_xor_sync(~0U, value, mask));
  return value;
}
template <int kLanes>
__device__ __forceinline__ float lanes_sum(float value) {
  for (int mask = kLanes / 2; mask > 0; mask /= 2) value += __shfl_xor_sync(~0U, value, mask);
  return value;
}

template <int kTile, int kColumns, typename T>
__global__ void __launch_bounds__(kThreads) attend(Operands<T> a, Heads heads) {
  using Tile = Tiling<kTile>;
  const int width = heads.width;
  const int pitch = Tile::pitch(width);
  auto* queries = shared_memory<float>();
  float* others = queries + Tile::floats(width);  // keys, then values
  float* scores = others + Tile::floats(width);
  const int row = Tile::row();
  const int lane = Tile::lane();
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kTile;

  Tile::load(a.q, first, width, heads.scale * kLog2E, queries);
  float peak = -INFINITY;
  float sum = 0;
  float o[kColumns] = {};
  for (std::int64_t key = 0; key < heads.keys; key += kTile) {
    Tile::load(a.k, key, width, 1.0F, others);
    __syncthreads();
    float mine[Tile::kScores];
    float highest = peak;
    for (int i = 0; i < Tile::kScores; ++i) {
      const int k = lane + i * Tile::kLanes;
      mine[i] = key + k < heads.keys ? Tile::dot(queries + row * pitch, others + k * pitch, width) : -INFINITY;
      highest = fmaxf(highest, mine[i]);
    }
    highest = lanes_max<Tile::kLanes>(highest);
    float part = 0;
    for (int i = 0; i < Tile::kScores; ++i) {
      mine[i] = exp2f(mine[i] - highest);
      part += mine[i];
      scores[row * (kTile + 1) + lane + i * Tile::kLanes] = mine[i];
    }
    const float shrink = exp2f(peak - highest);
    sum = sum * shrink + lanes_sum<Tile::kLanes>(part);
    peak = highest;
    __syncthreads();
    Tile::load(a.v, key, width, 1.0F, others);
    __syncthreads();
    for (int j = 0; j < kColumns; ++j) {
      const int c = lane + j * Tile::kLanes;
      if (c >= width) break;
      float value = o[j] * shrink;
      for (int k = 0; k < kTile; ++k) value += scores[row * (kTile + 1) + k] * others[k * pitch + c];
      o[j] = value;
    }
    __syncthreads();
  }
  if (first + row >= heads.queries) return;
  T* out = a.o.row(first + row, width);
  for (int j = 0; j < kColumns; ++j) {
    const int c = lane + j * Tile::kLanes;
    if (c < width) out[c] = from_float<T>(o[j] / sum);
  }
  if (lane == 0) a.lse[heads.first_query() + first + row] = kLn2 * (peak + log2f(sum));
}

}  // namespace

KernelPtr make_kernel(const ir::Attention& op, const NodeTypes& types, Site& site) {
  const ir::Type& q = types.inputs[0];
  const ir::Type& k = types.inputs[1];
  const ir::Type& v = types.inputs[2];
  const ir::Type& o = types.outputs[0];
  expect_equal_dtypes(op.name, {&q, &k, &v, &o});
  return with_float(q.dtype, [&]<typename T>(T) -> KernelPtr {
    return own_kernel([=, heads = heads_of(op, q, k), stream = site.stream()](const KernelArgs& args) {
      const Operands<T> a{{args.in<T>(0), q.row_pitch(), heads.queries},
                          {args.in<T>(1), k.row_pitch(), heads.keys},
                          {args.in<T>(2), v.row_pitch(), heads.keys},
                          {args.out<T>(0), o.row_pitch(), heads.queries},
                          args.out<float>(1)};
      with_tiling(heads.width, [&](auto tile, auto columns) {
        constexpr int kTile = decltype(tile)::value;
        using Tile = Tiling<kTile>;
        launch(attend<kTile, decltype(columns)::value, T>,
               heads.grid(heads.queries, kTile, 2 * Tile::floats(heads.width) + Tile::kScoreFloats), stream, a, heads);
      });
    });
  });
}

}  // namespace ldmpi::backend::cuda
