#pragma once
// Small matrix products on packed tiles, for attention: register blocks of 6 x 16, everything in scratch memory
// whose rows and columns are padded, so that no block needs a mask.

#include <cstdint>

#include "backend/cpu/vector_math.h"

namespace ldmpi::backend::cpu {

inline constexpr std::int64_t kBlockRows = 6;
inline constexpr std::int64_t kPanel = 16;

/// Left factor: element (row, k) at data[row * row_step + k * inner_step]; one of the steps is 1.
struct Left {
  const float* data;
  std::int64_t row_step;
  std::int64_t inner_step;
};

/// Right factor in panels of kPanel columns: element (k, c) at data[c / 16 * panel_step + k * inner_step + c % 16].
struct Right {
  const float* data;
  std::int64_t inner_step;
  std::int64_t panel_step;
};

namespace detail {

/// One block of kRows rows and kVectors * 8 columns; the sums stay in registers.
template <int kRows, int kVectors, bool kTransposed>
[[gnu::always_inline]] inline void block(std::int64_t inner, const float* a, std::int64_t a_step, const float* b,
                                         std::int64_t b_step, float* c, std::int64_t c_step, bool add) {
  Float8 sum[kRows][kVectors];
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j)
      sum[i][j] = add ? Float8(*reinterpret_cast<const Float8Memory*>(c + i * c_step + j * 8)) : Float8{};
  for (std::int64_t k = 0; k < inner; ++k) {
    Float8 right[kVectors];
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) right[j] = *reinterpret_cast<const Float8Memory*>(b + j * 8);
#pragma GCC unroll 16
    for (int i = 0; i < kRows; ++i) {
      const float left = kTransposed ? a[i] : a[i * a_step];
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) sum[i][j] += left * right[j];
    }
    a += kTransposed ? a_step : 1;
    b += b_step;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kRows; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) *reinterpret_cast<Float8Memory*>(c + i * c_step + j * 8) = sum[i][j];
}

template <bool kTransposed>
inline void multiply(std::int64_t rows, std::int64_t columns, std::int64_t inner, Left a, Right b, float* c,
                     std::int64_t c_step, bool add) {
  const std::int64_t a_row = kTransposed ? 1 : a.row_step;
  const std::int64_t a_step = kTransposed ? a.inner_step : a.row_step;
  for (std::int64_t column = 0; column < columns; column += kPanel) {
    const float* panel = b.data + column / kPanel * b.panel_step;
    const bool wide = columns - column > 8;
    for (std::int64_t row = 0; row < rows; row += kBlockRows) {
      const float* left = a.data + row * a_row;
      float* out = c + row * c_step + column;
      if (wide) {
        block<kBlockRows, 2, kTransposed>(inner, left, a_step, panel, b.inner_step, out, c_step, add);
      } else {
        block<kBlockRows, 1, kTransposed>(inner, left, a_step, panel, b.inner_step, out, c_step, add);
      }
    }
  }
}

}  // namespace detail

/// c (+)= a * b. All memory is padded: a and c have rows up to a multiple of kBlockRows, b and c columns up to a
/// multiple of 8; what stands in the padding is arbitrary and stays in the padding.
inline void multiply(std::int64_t rows, std::int64_t columns, std::int64_t inner, Left a, Right b, float* c,
                     std::int64_t c_step, bool add) {
  if (a.inner_step == 1) {
    detail::multiply<false>(rows, columns, inner, a, b, c, c_step, add);
  } else {
    detail::multiply<true>(rows, columns, inner, a, b, c, c_step, add);
  }
}

}  // namespace ldmpi::backend::cpu
