#pragma once
// Kernels that visit every element of a matrix once, in vectors along the columns.

#include <algorithm>
#include <bit>

#include "backend/cuda/element.cuh"

namespace ldmpi::backend::cuda {

/// body.template at<N>(row, column) for every N columns of every row.
template <int N, typename Body>
__global__ void __launch_bounds__(kThreads) each_kernel(std::int64_t rows, std::int64_t vectors, Body body) {
  const std::int64_t row_step = static_cast<std::int64_t>(gridDim.y) * blockDim.y;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t row = blockIdx.y * static_cast<std::int64_t>(blockDim.y) + threadIdx.y; row < rows; row += row_step)
    for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < vectors; i += step)
      body.template at<N>(row, i * N);
}

/// Blocks of kThreads threads: as many along the columns as there are vectors, the others along the rows.
[[nodiscard]] inline Grid grid_over(std::int64_t rows, std::int64_t vectors) {
  const auto across = std::min<std::int64_t>(
      kThreads,
      static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(std::max<std::int64_t>(vectors, 1)))));
  const std::int64_t down = kThreads / across;
  constexpr std::int64_t kMostX = 0x7fffffff;
  constexpr std::int64_t kMostY = 65535;
  return {dim3(static_cast<unsigned>(std::min(ceil_div(vectors, across), kMostX)),
               static_cast<unsigned>(std::min(ceil_div(rows, down), kMostY))),
          dim3(static_cast<unsigned>(across), static_cast<unsigned>(down))};
}

/// Runs a body over rows x columns; `wide` promises that vectors of Body::kWidth elements are allowed.
template <typename Body>
void each(std::int64_t rows, std::int64_t columns, bool wide, Stream stream, const Body& body) {
  if (rows == 0 || columns == 0) return;
  with_width<Body::kWidth>(wide, [&](auto width) {
    constexpr int kN = decltype(width)::value;
    launch(each_kernel<kN, Body>, grid_over(rows, columns / kN), stream, rows, columns / kN, body);
  });
}

/// How operands of equal rows and columns are walked together: as one long row where all are dense.
struct Walk {
  std::int64_t rows;
  std::int64_t columns;
  bool wide;

  Walk(std::initializer_list<const ir::Type*> types, int width)
      : rows((*types.begin())->rows()), columns((*types.begin())->columns()) {
    const auto dense = [](const ir::Type* type) { return type->dense() || type->rows() == 1; };
    if (std::all_of(types.begin(), types.end(), dense)) {
      rows = 1;
      columns = stored_elements(**types.begin());
      wide = columns % width == 0;
    } else {
      wide = std::all_of(types.begin(), types.end(), [&](const ir::Type* type) { return fits_wide(*type, width); });
    }
  }
};

}  // namespace ldmpi::backend::cuda
