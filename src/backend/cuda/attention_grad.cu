// Attention backward, without atomics: one kernel for both sides. A block has a tile of queries and goes over the keys,
// which gives dq; or it has a tile of keys and goes over the queries, which gives dk and dv. Probabilities are computed
// again from the scores and lse: p = exp(scale * q k - lse), ds = p (do v - do o) scale.

#include "backend/cuda/attention.cuh"
#include "backend/cuda/collective.cuh"
#include "backend/cuda/kernels.h"

namespace ldmpi::backend::cuda {
namespace {

/// do * o of every query. Blocks of 8 warps, a warp for a query.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    output_products(HeadMatrix<const T> d_o, HeadMatrix<const T> o, Heads heads, float* products) {
  const std::int64_t query = static_cast<std::int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
  if (query >= heads.queries) return;
  float sum = 0;
  for (int c = static_cast<int>(threadIdx.x) % 32; c < heads.width; c += 32)
    sum += to_float(d_o.row(query, heads.width)[c]) * to_float(o.row(query, heads.width)[c]);
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) products[heads.first_query() + query] = sum;
}

/// One side has the rows of the block, the other one is gone over. Of the queries' side `scored` is q and `weighed` is
/// do, of the keys' side k and v: scores are scored * scored, the slopes of probabilities weighed * weighed.
template <typename T>
struct Side {
  HeadMatrix<const T> scored;
  HeadMatrix<const T> weighed;
};

template <typename T>
struct Sides {
  Side<T> own;
  Side<T> other;
  HeadMatrix<T> d_scored;   ///< dq or dk
  HeadMatrix<T> d_weighed;  ///< dv, of keys only
  const float* lse;
  const float* products;
};

template <bool kKeys, int kTile, int kColumns, typename T>
__global__ void __launch_bounds__(kThreads) gradients(Sides<T> a, Heads heads) {
  using Tile = Tiling<kTile>;
  const int width = heads.width;
  const int pitch = Tile::pitch(width);
  const int size = Tile::floats(width);
  auto* own_scored = shared_memory<float>();
  float* own_weighed = own_scored + size;
  float* scored = own_weighed + size;
  float* weighed = scored + size;
  float* slopes = weighed + size;
  float* probabilities = slopes + Tile::kScoreFloats;
  const int row = Tile::row();
  const int lane = Tile::lane();
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * kTile;
  const std::int64_t queries = heads.first_query();

  Tile::load(a.own.scored, first, width, 1.0F, own_scored);
  Tile::load(a.own.weighed, first, width, 1.0F, own_weighed);
  float d_scored[kColumns] = {};
  float d_weighed[kColumns] = {};
  for (std::int64_t next = 0; next < a.other.scored.rows; next += kTile) {
    Tile::load(a.other.scored, next, width, 1.0F, scored);
    Tile::load(a.other.weighed, next, width, 1.0F, weighed);
    __syncthreads();
    for (int i = 0; i < Tile::kScores; ++i) {
      const int k = lane + i * Tile::kLanes;
      const std::int64_t query = kKeys ? next + k : first + row;
      float p = 0;
      float slope = 0;
      if (query < heads.queries && next + k < a.other.scored.rows) {
        const float score = Tile::dot(own_scored + row * pitch, scored + k * pitch, width) * heads.scale;
        p = exp2f((score - a.lse[queries + query]) * kLog2E);
        const float dp = Tile::dot(own_weighed + row * pitch, weighed + k * pitch, width);
        slope = p * (dp - a.products[queries + query]) * heads.scale;
      }
      slopes[row * (kTile + 1) + k] = slope;
      if (kKeys) probabilities[row * (kTile + 1) + k] = p;
    }
    __syncthreads();
    for (int j = 0; j < kColumns; ++j) {
      const int c = lane + j * Tile::kLanes;
      if (c >= width) break;
      for (int k = 0; k < kTile; ++k) {
        d_scored[j] += slopes[row * (kTile + 1) + k] * scored[k * pitch + c];
        if (kKeys) d_weighed[j] += probabilities[row * (kTile + 1) + k] * weighed[k * pitch + c];
      }
    }
    __syncthreads();
  }
  if (first + row >= a.own.scored.rows) return;
  for (int j = 0; j < kColumns; ++j) {
    const int c = lane + j * Tile::kLanes;
    if (c >= width) break;
    a.d_scored.row(first + row, width)[c] = from_float<T>(d_scored[j]);
    if (kKeys) a.d_weighed.row(first + row, width)[c] = from_float<T>(d_weighed[j]);
  }
}

}  // namespace

KernelPtr make_kernel(const ir::AttentionGrad& op, const NodeTypes& types, Site& site) {
  for (const auto& type : types.outputs) expect_equal_dtypes(op.name, {&types.inputs[0], &type});
  for (std::size_t i = 1; i < 5; ++i) expect_equal_dtypes(op.name, {&types.inputs[0], &types.inputs[i]});
  return with_float(types.inputs[0].dtype, [&]<typename T>(T) -> KernelPtr {
    return own_kernel([types, heads = heads_of(op.forward, types.inputs[1], types.inputs[2]),
                       stream = site.stream()](const KernelArgs& args) {
      const auto in = [&](std::size_t i, std::int64_t rows) {
        return HeadMatrix<const T>{args.in<T>(i), types.inputs[i].row_pitch(), rows};
      };
      const auto out = [&](std::size_t i, std::int64_t rows) {
        return HeadMatrix<T>{args.out<T>(i), types.outputs[i].row_pitch(), rows};
      };
      auto* products = static_cast<float*>(args.workspace);
      const auto d_o = in(0, heads.queries);
      launch(output_products<T>, heads.grid(heads.queries, kThreads / 32, 0), stream, d_o, in(4, heads.queries), heads,
             products);
      const Side<T> of_queries{in(1, heads.queries), d_o};
      const Side<T> of_keys{in(2, heads.keys), in(3, heads.keys)};
      const auto* lse = args.in<float>(5);
      with_tiling(heads.width, [&](auto tile, auto columns) {
        constexpr int kTile = decltype(tile)::value;
        constexpr int kColumns = decltype(columns)::value;
        using Tile = Tiling<kTile>;
        const int floats = 4 * Tile::floats(heads.width) + 2 * Tile::kScoreFloats;
        launch(gradients<false, kTile, kColumns, T>, heads.grid(heads.queries, kTile, floats), stream,
               Sides<T>{of_queries, of_keys, out(0, heads.queries), {}, lse, products}, heads);
        launch(gradients<true, kTile, kColumns, T>, heads.grid(heads.keys, kTile, floats), stream,
               Sides<T>{of_keys, of_queries, out(1, heads.keys), out(2, heads.keys), lse, products}, heads);
      });
    });
  });
}

}  // namespace ldmpi::backend::cuda
