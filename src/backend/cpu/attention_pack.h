#pragma once
// What attention forward and backward share: sizes of tiles, and packing a head's rows for micro_gemm.h.

#include <algorithm>
#include <cmath>

#include "backend/cpu/micro_gemm.h"
#include "backend/cpu/parallel.h"

namespace ldmpi::backend::cpu {

/// The heads of one attention: tokens and width, counted in elements.
struct Heads {
  std::int64_t count;      ///< batch * heads
  std::int64_t per_batch;  ///< heads of a sample
  std::int64_t queries;
  std::int64_t keys;
  std::int64_t width;  ///< of one head
  float scale;

  Heads(const ir::Attention& op, const ir::Type& q, const ir::Type& k)
      : count(op.batch * op.heads),
        per_batch(op.heads),
        queries(q.rows() / op.batch),
        keys(k.rows() / op.batch),
        width(q.columns() / op.heads),
        scale(1.0F / std::sqrt(static_cast<float>(width))) {}

  /// Rows of a packed head lie this far apart: whole vectors, and not a multiple of 128 bytes, whose rows would fall
  /// into few cache sets.
  [[nodiscard]] std::int64_t step() const {
    const std::int64_t padded = round_up(width, 8);
    return padded % 32 == 0 ? padded + 8 : padded;
  }
  /// Floats of one packed head of `tokens` rows: as rows (block rows may be read behind the end) and as panels.
  [[nodiscard]] std::int64_t rows_size(std::int64_t tokens) const { return round_up(tokens, kBlockRows) * step(); }
  [[nodiscard]] std::int64_t panels_size(std::int64_t tokens) const { return round_up(tokens, kPanel) * width; }
  /// Where head `h` begins in a matrix of `tokens` rows a sample.
  [[nodiscard]] std::int64_t offset(std::int64_t h, std::int64_t tokens, std::int64_t pitch) const {
    return h / per_batch * tokens * pitch + h % per_batch * width;
  }
  /// Multiplications and additions that one product of queries and keys takes, over all heads.
  [[nodiscard]] std::int64_t product_work() const { return count * queries * keys * width; }
};

/// Rows [begin, end) of a head times `factor`, `step` floats apart.
inline void pack_rows(const float* source, std::int64_t pitch, std::int64_t begin, std::int64_t end, std::int64_t width,
                      float factor, float* target, std::int64_t step) {
  for (std::int64_t row = begin; row < end; ++row) {
    const float* from = source + row * pitch;
    float* to = target + row * step;
#pragma omp simd
    for (std::int64_t i = 0; i < width; ++i) to[i] = factor * from[i];
  }
}

/// Eight rows of eight, `pitch` floats apart, times `factor`, transposed to rows kPanel floats apart.
inline void transpose8(const float* source, std::int64_t pitch, float factor, float* target) {
  Float8 r[8];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) r[i] = factor * Float8(*reinterpret_cast<const Float8Memory*>(source + i * pitch));
    // Each stage swaps one bit of the row number with the same bit of the column number.
#pragma GCC unroll 8
  for (int i = 0; i < 8; i += 2) {
    const Float8 a = r[i];
    const Float8 b = r[i + 1];
    r[i] = __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
    r[i + 1] = __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  }
#pragma GCC unroll 8
  for (int i : {0, 1, 4, 5}) {
    const Float8 a = r[i];
    const Float8 b = r[i + 2];
    r[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
    r[i + 2] = __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 4; ++i) {
    const Float8 a = r[i];
    const Float8 b = r[i + 4];
    r[i] = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
    r[i + 4] = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) *reinterpret_cast<Float8Memory*>(target + i * kPanel) = r[i];
}

/// Rows [begin, end) times `factor`, transposed into panels of kPanel tokens ([panel][width][16]); `begin` is a
/// multiple of kPanel. Tokens behind the end are zero.
inline void pack_panels(const float* source, std::int64_t pitch, std::int64_t begin, std::int64_t end,
                        std::int64_t width, float factor, float* target) {
  for (std::int64_t first = begin; first < end; first += kPanel) {
    float* panel = target + first * width;
    const std::int64_t tokens = std::min(kPanel, end - first);
    const std::int64_t whole = tokens == kPanel ? width / 8 * 8 : 0;
    for (std::int64_t i = 0; i < whole; i += 8)
      for (std::int64_t t = 0; t < kPanel; t += 8)
        transpose8(source + (first + t) * pitch + i, pitch, factor, panel + i * kPanel + t);
    for (std::int64_t t = 0; t < kPanel; ++t) {
      const float* from = source + (first + std::min(t, tokens - 1)) * pitch;
      const float part = t < tokens ? factor : 0.0F;
      for (std::int64_t i = whole; i < width; ++i) panel[i * kPanel + t] = part * from[i];
    }
  }
}

}  // namespace ldmpi::backend::cpu
