#include "backend/cpu/gemm.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "backend/cpu/parallel.h"
#include "backend/cpu/vector_math.h"

namespace ldmpi::backend::cpu {

namespace {

constexpr std::int64_t kTileRows = 6;
constexpr std::int64_t kTileColumns = 16;
// A panel of b (20 KiB) stays in the first-level cache, a block of a (120 KiB) and b's slab (640 KiB) in the second.
constexpr std::int64_t kDepth = 320;
constexpr std::int64_t kBlockRows = 96;
constexpr std::int64_t kSlabColumns = 512;
/// Up to here packing the rows of a costs more than it gains.
constexpr std::int64_t kFewColumns = 128;
/// Multiply-adds below which waking the other threads costs more than they save.
constexpr std::int64_t kSerialWork = 1 << 19;

struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  [[nodiscard]] std::int64_t size() const { return end - begin; }
};

/// Part i of n of `extent`, cut at multiples of `step`.
Range part(std::int64_t extent, std::int64_t step, std::int64_t i, std::int64_t n) {
  const std::int64_t steps = ceil_div(extent, step);
  return {std::min(extent, steps * i / n * step), std::min(extent, steps * (i + 1) / n * step)};
}

/// Depth of the pieces of the sum, equal but for the last.
std::int64_t depth_of(std::int64_t inner) {
  return ceil_div(inner, ceil_div(inner, kDepth));
}

/// How the product is cut: into chunks of the sum (a function of the shape), each of them into rows x columns of parts
/// (of the threads).
struct Grid {
  std::int64_t chunks = 1;
  std::int64_t rows = 1;
  std::int64_t columns = 1;
};

/// A small result of a long sum (a weight's gradient) is cut along the sum: parts of it would be packed over and over.
std::int64_t chunks_of(const Gemm& gemm) {
  constexpr std::int64_t kSmallResult = 128 * 128;
  if (gemm.rows * gemm.columns > kSmallResult) return 1;
  return std::clamp<std::int64_t>(gemm.inner / (2 * kDepth), 1, 8);
}

Grid grid_of(const Gemm& gemm, int threads) {
  Grid grid{.chunks = chunks_of(gemm)};
  if (grid.chunks > 1 || gemm.rows * gemm.columns * gemm.inner < kSerialWork) return grid;
  // The cut with the least packing; of equal ones the one along the rows.
  std::int64_t least = 0;
  for (std::int64_t columns = 1; columns <= threads; ++columns) {
    if (threads % columns != 0) continue;
    const std::int64_t packed = gemm.rows * columns + gemm.columns * (threads / columns);
    if (columns > 1 && packed >= least) continue;
    least = packed;
    grid.rows = threads / columns;
    grid.columns = columns;
  }
  return grid;
}

[[gnu::always_inline]] inline Float8 load(const float* from) {
  return *reinterpret_cast<const Float8Memory*>(from);
}
[[gnu::always_inline]] inline void store(float* to, Float8 value) {
  *reinterpret_cast<Float8Memory*>(to) = value;
}

/// out[j * out_pitch + i] = in[min(i, last) * in_pitch + j], 8 x 8, in ascending j: an out_pitch below 8 keeps the
/// first out_pitch of i and spoils the 8 - out_pitch floats behind the last j.
[[gnu::always_inline]] inline void transpose(const float* in, std::int64_t in_pitch, std::int64_t last, float* out,
                                             std::int64_t out_pitch) {
  std::array<Float8, 8> r;
  std::array<Float8, 8> s;
#pragma GCC unroll 8
  for (std::int64_t i = 0; i < 8; ++i) r[i] = load(in + std::min(i, last) * in_pitch);
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {
    s[i] = __builtin_shufflevector(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    s[i + 1] = __builtin_shufflevector(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      r[i + 2 * j] = __builtin_shufflevector(s[i + j], s[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[i + 2 * j + 1] = __builtin_shufflevector(s[i + j], s[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j)
    store(out + j * out_pitch, __builtin_shufflevector(r[j], r[j + 4], 0, 1, 2, 3, 8, 9, 10, 11));
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j)
    store(out + (j + 4) * out_pitch, __builtin_shufflevector(r[j], r[j + 4], 4, 5, 6, 7, 12, 13, 14, 15));
}

/// A panel: out[k * kWidth + i] = in[k * pitch + i] (across) or in[i * pitch + k], for i < count <= kWidth; arbitrary
/// beyond. Spoils up to 8 floats behind the panel.
template <std::int64_t kWidth>
void pack_panel(const float* in, std::int64_t pitch, bool across, std::int64_t count, std::int64_t depth, float* out) {
  std::int64_t k = 0;
  if (across && count == kWidth) {
    for (; k < depth; ++k) std::memcpy(out + k * kWidth, in + k * pitch, kWidth * sizeof(float));
  } else if (!across) {
    for (; k + 8 <= depth; k += 8)
      for (std::int64_t i = 0; i < count; i += 8)
        transpose(in + i * pitch + k, pitch, count - i - 1, out + k * kWidth + i, kWidth);
  }
  for (; k < depth; ++k)
    for (std::int64_t i = 0; i < count; ++i) out[k * kWidth + i] = across ? in[k * pitch + i] : in[i * pitch + k];
}

/// The columns of `range` in panels, `depth` deep from `k`.
void pack_b(const float* in, const GemmFactor& b, Range range, std::int64_t k, std::int64_t depth, float* out) {
  for (std::int64_t i = range.begin; i < range.end; i += kTileColumns, out += depth * kTileColumns)
    pack_panel<kTileColumns>(in + (b.transposed ? i * b.pitch + k : k * b.pitch + i), b.pitch, !b.transposed,
                             std::min(kTileColumns, range.end - i), depth, out);
}

using Tile = std::array<std::array<Float8, 2>, kTileRows>;

/// c = start + a * b for a whole tile; the start is c itself (`add`), the bias, or zero where that is null. a is a
/// packed panel or, with a pitch, rows in place.
template <bool kPacked>
[[gnu::always_inline]] inline void tile(std::int64_t depth, const float* a, std::int64_t a_pitch, const float* b,
                                        const float* bias, bool add, float* c, std::int64_t c_pitch) {
  Tile sum;
#pragma GCC unroll 6
  for (int i = 0; i < kTileRows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j)
      sum[i][j] = add ? load(c + i * c_pitch + 8 * j) : bias != nullptr ? load(bias + 8 * j) : Float8{};
  for (std::int64_t k = 0; k < depth; ++k, a += kPacked ? kTileRows : 1, b += kTileColumns) {
    const Float8 left = load(b);
    const Float8 right = load(b + 8);
#pragma GCC unroll 6
    for (int i = 0; i < kTileRows; ++i) {
      const float factor = a[kPacked ? i : i * a_pitch];
      sum[i][0] += factor * left;
      sum[i][1] += factor * right;
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < kTileRows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) store(c + i * c_pitch + 8 * j, sum[i][j]);
}

/// One thread's share: rows x columns of c over a range of the sum.
struct Share {
  const Gemm& gemm;
  const float* a;
  const float* b;
  const float* bias;
  float* c;
  std::int64_t pitch;
  Range rows, columns, inner;

  void run(float* packed_a, float* packed_b) const {
    const std::int64_t depth_step = depth_of(inner.size());
    for (std::int64_t column = columns.begin; column < columns.end; column += kSlabColumns) {
      const Range slab{column, std::min(column + kSlabColumns, columns.end)};
      for (std::int64_t k = inner.begin; k < inner.end; k += depth_step) {
        const Range depth{k, std::min(k + depth_step, inner.end)};
        pack_b(b, gemm.b, slab, k, depth.size(), packed_b);
        for (std::int64_t row = rows.begin; row < rows.end; row += kBlockRows)
          block({row, std::min(row + kBlockRows, rows.end)}, slab, depth, packed_a, packed_b);
      }
    }
  }

 private:
  /// Rows of a stay in place where they lie along the sum; a transposed a and the rows of an incomplete tile are
  /// packed.
  [[nodiscard]] bool in_place(std::int64_t height) const {
    return !gemm.a.transposed && height == kTileRows && columns.size() <= kFewColumns;
  }

  void block(Range rows_of_block, Range slab, Range depth, float* packed_a, const float* packed_b) const {
    const auto source = [&](std::int64_t row) {
      return a + (gemm.a.transposed ? depth.begin * gemm.a.pitch + row : row * gemm.a.pitch + depth.begin);
    };
    const auto panel_of = [&](std::int64_t row) { return packed_a + (row - rows_of_block.begin) * depth.size(); };
    for (std::int64_t row = rows_of_block.begin; row < rows_of_block.end; row += kTileRows) {
      const std::int64_t height = std::min(kTileRows, rows_of_block.end - row);
      if (!in_place(height))
        pack_panel<kTileRows>(source(row), gemm.a.pitch, gemm.a.transposed, height, depth.size(), panel_of(row));
    }
    for (std::int64_t column = slab.begin; column < slab.end; column += kTileColumns) {
      const float* right = packed_b + (column - slab.begin) * depth.size();
      const std::int64_t width = std::min(kTileColumns, slab.end - column);
      for (std::int64_t row = rows_of_block.begin; row < rows_of_block.end; row += kTileRows) {
        const std::int64_t height = std::min(kTileRows, rows_of_block.end - row);
        const float* left = in_place(height) ? source(row) : panel_of(row);
        corner({row, row + height}, {column, column + width}, depth, left, right);
      }
    }
  }

  /// One tile; at the edge through a whole one beside c.
  void corner(Range tile_rows, Range tile_columns, Range depth, const float* left, const float* right) const {
    const bool add = depth.begin != inner.begin;
    const float* start = bias == nullptr ? nullptr : bias + tile_columns.begin;
    float* out = c + tile_rows.begin * pitch + tile_columns.begin;
    const auto multiply = [&](const float* from, bool sum, float* to, std::int64_t step) {
      if (in_place(tile_rows.size())) {
        tile<false>(depth.size(), left, gemm.a.pitch, right, from, sum, to, step);
      } else {
        tile<true>(depth.size(), left, 0, right, from, sum, to, step);
      }
    };
    if (tile_rows.size() == kTileRows && tile_columns.size() == kTileColumns) return multiply(start, add, out, pitch);
    std::array<float, kTileRows * kTileColumns> whole{};
    for (std::int64_t i = 0; i < tile_rows.size(); ++i)
      for (std::int64_t j = 0; j < tile_columns.size(); ++j)
        whole[i * kTileColumns + j] = add ? out[i * pitch + j] : start != nullptr ? start[j] : 0.0F;
    multiply(nullptr, true, whole.data(), kTileColumns);
    for (std::int64_t i = 0; i < tile_rows.size(); ++i)
      std::memcpy(out + i * pitch, whole.data() + i * kTileColumns,
                  static_cast<std::size_t>(tile_columns.size()) * sizeof(float));
  }
};

/// Floats that one thread packs into.
struct Packed {
  std::int64_t a, b;
};
Packed packed_sizes(const Gemm& gemm) {
  const std::int64_t depth = std::min(gemm.inner, kDepth);
  return {round_up(std::min(gemm.rows, kBlockRows), kTileRows) * depth + 8,
          round_up(std::min(gemm.columns, kSlabColumns), kTileColumns) * depth + 8};
}

}  // namespace

std::size_t Gemm::scratch_bytes(int threads) const {
  const Packed packed = packed_sizes(*this);
  const std::int64_t chunks = chunks_of(*this);
  Scratch scratch;
  for (int i = 0; i < threads; ++i) {
    scratch.take<float>(packed.a);
    scratch.take<float>(packed.b);
  }
  if (chunks > 1) scratch.take<float>(chunks * rows * columns);
  return scratch.used();
}

void Gemm::run(const float* a_data, const float* b_data, const float* bias, float* c, void* scratch,
               int threads) const {
  const Packed packed = packed_sizes(*this);
  const Grid grid = grid_of(*this, threads);
  const bool chunked = grid.chunks > 1;
  Scratch taken(scratch);
  const std::int64_t stride = round_up(packed.a, 16) + round_up(packed.b, 16);
  auto* panels = taken.take<float>(stride * threads);
  auto* sums = taken.take<float>(chunked ? grid.chunks * rows * columns : 0);
  const std::int64_t shares = grid.chunks * grid.rows * grid.columns;
  parallel_tasks(threads, shares, shares > 1 ? rows * columns * inner : 0, [&](std::int64_t i, int thread) {
    const std::int64_t chunk = i / (grid.rows * grid.columns);
    const std::int64_t place = i % (grid.rows * grid.columns);
    float* const packed_a = panels + thread * stride;
    const Share share{.gemm = *this,
                      .a = a_data,
                      .b = b_data,
                      .bias = chunk == 0 ? bias : nullptr,
                      .c = chunked ? sums + chunk * rows * columns : c,
                      .pitch = chunked ? columns : c_pitch,
                      .rows = part(rows, kTileRows, place / grid.columns, grid.rows),
                      .columns = part(columns, kTileColumns, place % grid.columns, grid.columns),
                      .inner = part(inner, 1, chunk, grid.chunks)};
    share.run(packed_a, packed_a + round_up(packed.a, 16));
  });
  if (!chunked) return;
  parallel_for(rows, rows * columns * grid.chunks, [&](std::int64_t row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      float sum = 0;
      for (std::int64_t chunk = 0; chunk < grid.chunks; ++chunk) sum += sums[(chunk * rows + row) * columns + column];
      c[row * c_pitch + column] = sum;
    }
  });
}

}  // namespace ldmpi::backend::cpu
