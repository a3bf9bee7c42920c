// Sums over rows: the gradients of biases and of what is added to every pixel.

#include "backend/cuda/columns.cuh"
#include "backend/cuda/kernels.h"

namespace ldmpi::backend::cuda {
namespace {

/// Sums of each column over every run of `extent` rows of x, one row of y per run.
struct ColumnSums {
  std::int64_t runs;
  std::int64_t columns;
  std::int64_t x_pitch;
  std::int64_t y_pitch;
  Pieces pieces;  ///< of the rows of a run

  ColumnSums(const ir::Type& x, const ir::Type& y, std::int64_t run_count)
      : runs(run_count),
        columns(x.columns()),
        x_pitch(x.row_pitch()),
        y_pitch(y.row_pitch()),
        pieces(scratch::sum_pieces(x.rows() / run_count)) {}
};

template <int N, typename T>
__global__ void __launch_bounds__(kThreads)
    sum_pieces(const T* x, std::int64_t pitch, std::int64_t columns, Pieces pieces, float* partial) {
  const std::int64_t column = own_column<N>();
  const Rows rows = rows_of_piece(pieces);
  Floats<N> sums[1] = {};
  if (column < columns) {
    for (std::int64_t row = rows.begin + threadIdx.y; row < rows.end; row += blockDim.y) {
      const auto values = load<N>(x + row * pitch + column);
      for (int i = 0; i < N; ++i) sums[0].at[i] += values.at[i];
    }
  }
  sum_down(sums, columns, partial + (blockIdx.z * pieces.count + blockIdx.y) * columns);
}

KernelPtr make(const ColumnSums& sums, const NodeTypes& types, Stream stream) {
  const ir::Type& x = types.inputs[0];
  return with_float(x.dtype, [&]<typename T>(T) -> KernelPtr {
    const bool fits = fits_wide(x, kWide<T>);
    return own_kernel([=](const KernelArgs& args) {
      auto* partial = static_cast<float*>(args.workspace);
      with_width<kWide<T>>(fits && aligned({args.inputs[0]}), [&](auto width) {
        constexpr int kN = decltype(width)::value;
        launch(sum_pieces<kN, T>, Slab(sums.columns, kN).grid(kN, sums.pieces.count, sums.runs, 1), stream,
               args.in<T>(0), sums.x_pitch, sums.columns, sums.pieces, partial);
      });
      join(partial, sums.runs, sums.pieces.count, sums.columns, Joined<T, 1>{{args.out<T>(0)}, sums.y_pitch}, stream);
    });
  });
}

ColumnSums sums_of(const ir::SumPixels&, const NodeTypes& types) {
  return {types.inputs[0], types.outputs[0], types.inputs[0].shape[0]};
}
ColumnSums sums_of(const ir::SumRows&, const NodeTypes& types) {
  return {types.inputs[0], types.outputs[0], 1};
}

}  // namespace

KernelPtr make_kernel(const ir::SumPixels& op, const NodeTypes& types, Site& site) {
  expect_equal_dtypes(op.name, {&types.inputs[0], &types.outputs[0]});
  return make(sums_of(op, types), types, site.stream());
}

KernelPtr make_kernel(const ir::SumRows& op, const NodeTypes& types, Site& site) {
  expect_equal_dtypes(op.name, {&types.inputs[0], &types.outputs[0]});
  return make(sums_of(op, types), types, site.stream());
}

}  // namespace ldmpi::backend::cuda
