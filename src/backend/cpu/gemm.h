#pragma once
// Single-precision matrix product on row-major operands of any pitch, by packed panels and a register block of 6 x 16.
// It takes no memory but the given scratch, and a result depends on the shapes alone, not on the number of threads.

#include <cstddef>
#include <cstdint>

namespace ldmpi::backend::cpu {

/// One factor as it is stored: row-major with `pitch` floats from row to row. Transposed: stored [columns, rows].
struct GemmFactor {
  std::int64_t pitch = 0;
  bool transposed = false;
};

/// c[rows, columns] = a[rows, inner] * b[inner, columns] + bias[columns].
struct Gemm {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t inner = 0;
  GemmFactor a, b;
  std::int64_t c_pitch = 0;

  /// Bytes that run() needs on `threads` threads, aligned to 64.
  [[nodiscard]] std::size_t scratch_bytes(int threads) const;

  /// `bias` may be null. `scratch` has scratch_bytes(threads). c overlaps nothing.
  void run(const float* a_data, const float* b_data, const float* bias, float* c, void* scratch, int threads) const;
};

}  // namespace ldmpi::backend::cpu
