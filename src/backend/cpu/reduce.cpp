// Sums over rows: the gradients of biases and of what is added to every pixel.

#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"

namespace ldmpi::backend::cpu {
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
        pieces(x.rows() / run_count, 16) {}

  [[nodiscard]] NodeAnswer answer() const {
    Scratch scratch;
    scratch.take<float>(runs * pieces.count() * columns);
    return {.workspace_bytes = scratch.used(), .pitched_inputs = true, .pitched_outputs = true};
  }

  void run(const KernelArgs& args) const {
    auto* partial = static_cast<float*>(args.workspace);
    const std::int64_t count = pieces.count();
    parallel_for(runs * count, runs * pieces.extent * columns, [&](std::int64_t i) {
      float* sums = partial + i * columns;
      std::fill_n(sums, columns, 0.0F);
      for (std::int64_t row = pieces.begin(i % count); row < pieces.end(i % count); ++row) {
        const float* x = args.in<float>(0) + (i / count * pieces.extent + row) * x_pitch;
#pragma omp simd
        for (std::int64_t c = 0; c < columns; ++c) sums[c] += x[c];
      }
    });
    parallel_for(runs, runs * count * columns, [&](std::int64_t i) {
      for (std::int64_t c = 0; c < columns; ++c) {
        double sum = 0;
        for (std::int64_t piece = 0; piece < count; ++piece) sum += double{partial[(i * count + piece) * columns + c]};
        args.out<float>(0)[i * y_pitch + c] = static_cast<float>(sum);
      }
    });
  }
};

KernelPtr make(const ColumnSums& sums) {
  return own_kernel([sums](const KernelArgs& args) { sums.run(args); });
}

ColumnSums sums_of(const ir::SumPixels&, const NodeTypes& types) {
  return {types.inputs[0], types.outputs[0], types.inputs[0].shape[0]};
}
ColumnSums sums_of(const ir::SumRows&, const NodeTypes& types) {
  return {types.inputs[0], types.outputs[0], 1};
}

}  // namespace

NodeAnswer answer(const ir::SumPixels& op, const NodeTypes& types) {
  return sums_of(op, types).answer();
}
KernelPtr make_kernel(const ir::SumPixels& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return make(sums_of(op, types));
}

NodeAnswer answer(const ir::SumRows& op, const NodeTypes& types) {
  return sums_of(op, types).answer();
}
KernelPtr make_kernel(const ir::SumRows& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return make(sums_of(op, types));
}

}  // namespace ldmpi::backend::cpu
