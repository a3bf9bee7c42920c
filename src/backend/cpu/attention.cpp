// Attention forward, tile by tile with a running softmax: a tile of scores lives only in a thread's scratch.

#include <bit>

#include "backend/cpu/attention_pack.h"
#include "backend/cpu/kernels.h"

namespace ldmpi::backend::cpu {
namespace {

constexpr std::int64_t kQueryTile = 96;
constexpr std::int64_t kKeyTile = 128;
constexpr float kLog2E = 1.44269504F;
constexpr float kLn2 = 0.693147181F;

/// Sizes and scratch. Heads are done in waves: all heads of a wave are packed, then all their query tiles are done,
/// so that one head alone still feeds every thread.
struct Plan {
  Heads heads;
  std::int64_t tiles;  ///< query tiles of a head
  std::int64_t wave;   ///< heads packed at a time
  int team;

  Plan(const ir::Attention& op, const NodeTypes& types) : heads(op, types.inputs[0], types.inputs[1]), team(threads()) {
    constexpr std::int64_t kPackedFloats = 1 << 21;
    tiles = ceil_div(heads.queries, kQueryTile);
    const std::int64_t head_size = heads.panels_size(heads.keys) + heads.rows_size(heads.keys);
    const std::int64_t busy = ceil_div(4 * team, tiles);
    wave = std::clamp(std::max(kPackedFloats / head_size, busy), std::int64_t{1}, heads.count);
  }
};

struct Tile {
  float* q;     ///< [kQueryTile, step]
  float* s;     ///< [kQueryTile, kKeyTile]
  float* o;     ///< [kQueryTile, step]
  float* peak;  ///< running maximum and sum of each row
  float* sum;
};

struct Parts {
  float* panels;  ///< K as panels, per head of the wave
  float* values;  ///< V as rows
  Tile tile;      ///< thread 0's; the next thread's follow tile_size floats later
  std::int64_t tile_size;
  std::size_t bytes;

  Parts(const Plan& plan, void* workspace) {
    Scratch scratch(workspace);
    panels = scratch.take<float>(plan.wave * plan.heads.panels_size(plan.heads.keys));
    values = scratch.take<float>(plan.wave * plan.heads.rows_size(plan.heads.keys));
    const auto before = scratch.used();
    const std::int64_t step = plan.heads.step();
    tile = {scratch.take<float>(kQueryTile * step), scratch.take<float>(kQueryTile * kKeyTile),
            scratch.take<float>(kQueryTile * step), scratch.take<float>(kQueryTile), scratch.take<float>(kQueryTile)};
    tile_size = static_cast<std::int64_t>((scratch.used() - before) / sizeof(float));
    bytes = before + static_cast<std::size_t>(plan.team * tile_size) * sizeof(float);
  }
  [[nodiscard]] Tile of(int thread) const {
    const std::int64_t shift = thread * tile_size;
    return {tile.q + shift, tile.s + shift, tile.o + shift, tile.peak + shift, tile.sum + shift};
  }
};

/// All eight numbers joined pairwise by `join`.
template <typename Join>
float across(Float8 x, const Join& join) {
  x = join(x, __builtin_shufflevector(x, x, 4, 5, 6, 7, 0, 1, 2, 3));
  x = join(x, __builtin_shufflevector(x, x, 2, 3, 0, 1, 6, 7, 4, 5));
  return join(x, __builtin_shufflevector(x, x, 1, 0, 3, 2, 5, 4, 7, 6))[0];
}

Float8 larger(const Float8& a, const Float8& b) {
  return a > b ? a : b;
}
Float8 sum_of(const Float8& a, const Float8& b) {
  return a + b;
}

/// Scores of one row -> 2^(score - peak) in place; columns up to a multiple of 8 exist, those behind `columns` get 0.
/// Returns the factor by which what was summed before shrinks.
float exponentiate(float* row, std::int64_t columns, float& peak, float& sum) {
  for (std::int64_t i = columns; i < round_up(columns, 8); ++i) row[i] = -INFINITY;
  Float8 high = Float8{} + peak;
  for (std::int64_t i = 0; i < columns; i += 8) {
    const Float8 x = *reinterpret_cast<const Float8Memory*>(row + i);
    high = larger(x, high);
  }
  const float next = across(high, larger);
  Float8 total{};
  for (std::int64_t i = 0; i < columns; i += 8) {
    const Float8 x = exp2_of<Float8>(*reinterpret_cast<const Float8Memory*>(row + i) - next);
    *reinterpret_cast<Float8Memory*>(row + i) = x;
    total += x;
  }
  // Lanes behind the columns hold the clamp of -infinity, 2^-100: nothing beside the peak's 1.
  const float shrink = peak == -INFINITY ? 0.0F : exp2_of(peak - next);
  sum = sum * shrink + across(total, sum_of);
  peak = next;
  return shrink;
}

void attend(const Plan& plan, const float* panels, const float* values, const Tile& tile, std::int64_t rows) {
  const Heads& heads = plan.heads;
  const std::int64_t step = heads.step();
  std::fill_n(tile.peak, rows, -INFINITY);
  std::fill_n(tile.sum, rows, 0.0F);
  for (std::int64_t key = 0; key < heads.keys; key += kKeyTile) {
    const std::int64_t columns = std::min(kKeyTile, heads.keys - key);
    multiply(rows, columns, heads.width, {tile.q, step, 1}, {panels + key * heads.width, kPanel, kPanel * heads.width},
             tile.s, kKeyTile, false);
    for (std::int64_t row = 0; row < rows; ++row) {
      const float shrink = exponentiate(tile.s + row * kKeyTile, columns, tile.peak[row], tile.sum[row]);
      if (key == 0 || shrink == 1.0F) continue;
      float* o = tile.o + row * step;
#pragma omp simd
      for (std::int64_t i = 0; i < heads.width; ++i) o[i] *= shrink;
    }
    multiply(rows, heads.width, columns, {tile.s, kKeyTile, 1}, {values + key * step, step, kPanel}, tile.o, step,
             key != 0);
  }
}

}  // namespace

NodeAnswer answer(const ir::Attention& op, const NodeTypes& types) {
  return {.workspace_bytes = Parts(Plan(op, types), nullptr).bytes, .pitched_inputs = true, .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::Attention& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  const std::array pitch{types.inputs[0].row_pitch(), types.inputs[1].row_pitch(), types.inputs[2].row_pitch(),
                         types.outputs[0].row_pitch()};
  return own_kernel([plan = Plan(op, types), pitch](const KernelArgs& args) {
    const Heads& heads = plan.heads;
    const Parts parts(plan, args.workspace);
    const std::int64_t step = heads.step();
    const std::int64_t key_pieces = ceil_div(heads.keys, kKeyTile);
    const std::int64_t panels_size = heads.panels_size(heads.keys);
    const std::int64_t rows_size = heads.rows_size(heads.keys);
    for (std::int64_t first = 0; first < heads.count; first += plan.wave) {
      const std::int64_t wave = std::min(plan.wave, heads.count - first);
      const std::int64_t work = wave * heads.product_work() / heads.count;
      parallel_for(wave * key_pieces, work / 64, [&](std::int64_t i) {
        const std::int64_t h = i / key_pieces;
        const std::int64_t begin = i % key_pieces * kKeyTile;
        const std::int64_t end = std::min(begin + kKeyTile, heads.keys);
        pack_panels(args.in<float>(1) + heads.offset(first + h, heads.keys, pitch[1]), pitch[1], begin, end,
                    heads.width, 1.0F, parts.panels + h * panels_size);
        pack_rows(args.in<float>(2) + heads.offset(first + h, heads.keys, pitch[2]), pitch[2], begin, end, heads.width,
                  1.0F, parts.values + h * rows_size, step);
      });
      parallel_tasks(plan.team, wave * plan.tiles, work / 4, [&](std::int64_t i, int thread) {
        const std::int64_t h = i / plan.tiles;
        const std::int64_t query = i % plan.tiles * kQueryTile;
        const std::int64_t rows = std::min(kQueryTile, heads.queries - query);
        const Tile tile = parts.of(thread);
        const float* q = args.in<float>(0) + heads.offset(first + h, heads.queries, pitch[0]) + query * pitch[0];
        pack_rows(q, pitch[0], 0, rows, heads.width, heads.scale * kLog2E, tile.q, step);
        attend(plan, parts.panels + h * panels_size, parts.values + h * rows_size, tile, rows);
        float* o = args.out<float>(0) + heads.offset(first + h, heads.queries, pitch[3]) + query * pitch[3];
        float* lse = args.out<float>(1) + (first + h) * heads.queries + query;
        for (std::int64_t row = 0; row < rows; ++row) {
          pack_rows(tile.o + row * step, step, 0, 1, heads.width, 1.0F / tile.sum[row], o + row * pitch[3], step);
          lse[row] = kLn2 * (tile.peak[row] + std::log2(tile.sum[row]));
        }
      });
    }
  });
}

}  // namespace ldmpi::backend::cpu
