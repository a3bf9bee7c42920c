// LayerNorm over the columns of each row; the sums over rows of its gradient go piece by piece.

#include <cmath>

#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"

namespace ldmpi::backend::cpu {
namespace {

/// One row: mean and 1/sqrt(variance + epsilon), by two passes.
void measure(const float* x, std::int64_t columns, float epsilon, float& mean, float& rstd) {
  const float share = 1.0F / static_cast<float>(columns);
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t c = 0; c < columns; ++c) sum += x[c];
  const float center = sum * share;
  float m2 = 0;
#pragma omp simd reduction(+ : m2)
  for (std::int64_t c = 0; c < columns; ++c) m2 += (x[c] - center) * (x[c] - center);
  mean = center;
  rstd = 1.0F / std::sqrt(m2 * share + epsilon);
}

/// One row of the gradient: dx, and dgamma and dbeta added to the piece's sums.
void differentiate(const float* dy, const float* x, const float* gamma, float mean, float rstd, float* dx,
                   float* dgamma, float* dbeta, std::int64_t columns) {
  float sum = 0;
  float product = 0;
#pragma omp simd reduction(+ : sum, product)
  for (std::int64_t c = 0; c < columns; ++c) {
    const float slope = gamma[c] * dy[c];
    sum += slope;
    product += slope * ((x[c] - mean) * rstd);
  }
  sum /= static_cast<float>(columns);
  product /= static_cast<float>(columns);
#pragma omp simd
  for (std::int64_t c = 0; c < columns; ++c) {
    const float normal = (x[c] - mean) * rstd;
    dgamma[c] += dy[c] * normal;
    dbeta[c] += dy[c];
    dx[c] = rstd * (gamma[c] * dy[c] - sum - normal * product);
  }
}

Pieces pieces_of(const ir::Type& x) {
  return {x.rows(), 16};
}

}  // namespace

NodeAnswer answer(const ir::LayerNorm&, const NodeTypes&) {
  return {.pitched_inputs = true, .pitched_outputs = true, .overwrites_first = true};
}

KernelPtr make_kernel(const ir::LayerNorm& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return own_kernel([rows = types.inputs[0].rows(), columns = types.inputs[0].columns(), epsilon = op.epsilon,
                     x_pitch = types.inputs[0].row_pitch(),
                     y_pitch = types.outputs[0].row_pitch()](const KernelArgs& args) {
    const float* gamma = args.in<float>(1);
    const float* beta = args.in<float>(2);
    parallel_for(rows, rows * columns * 2, [&](std::int64_t row) {
      const float* x = args.in<float>(0) + row * x_pitch;
      float* y = args.out<float>(0) + row * y_pitch;
      float mean = 0;
      float rstd = 0;
      measure(x, columns, epsilon, mean, rstd);
      args.out<float>(1)[row] = mean;
      args.out<float>(2)[row] = rstd;
#pragma omp simd
      for (std::int64_t c = 0; c < columns; ++c) y[c] = (x[c] - mean) * rstd * gamma[c] + beta[c];
    });
  });
}

NodeAnswer answer(const ir::LayerNormGrad&, const NodeTypes& types) {
  const ir::Type& x = types.inputs[1];
  Scratch scratch;
  scratch.take<float>(pieces_of(x).count() * 2 * x.columns());
  return {.workspace_bytes = scratch.used(), .pitched_inputs = true, .pitched_outputs = true, .overwrites_first = true};
}

KernelPtr make_kernel(const ir::LayerNormGrad& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return own_kernel([pieces = pieces_of(types.inputs[1]), columns = types.inputs[1].columns(),
                     dy_pitch = types.inputs[0].row_pitch(), x_pitch = types.inputs[1].row_pitch(),
                     dx_pitch = types.outputs[0].row_pitch()](const KernelArgs& args) {
    auto* partial = static_cast<float*>(args.workspace);
    const std::int64_t step = 2 * columns;
    parallel_for(pieces.count(), pieces.extent * columns * 2, [&](std::int64_t piece) {
      float* part = partial + piece * step;
      std::fill_n(part, step, 0.0F);
      for (std::int64_t row = pieces.begin(piece); row < pieces.end(piece); ++row)
        differentiate(args.in<float>(0) + row * dy_pitch, args.in<float>(1) + row * x_pitch, args.in<float>(2),
                      args.in<float>(3)[row], args.in<float>(4)[row], args.out<float>(0) + row * dx_pitch, part,
                      part + columns, columns);
    });
    for (std::int64_t c = 0; c < step; ++c) {
      double sum = 0;
      for (std::int64_t piece = 0; piece < pieces.count(); ++piece) sum += double{partial[piece * step + c]};
      (c < columns ? args.out<float>(1)[c] : args.out<float>(2)[c - columns]) = static_cast<float>(sum);
    }
  });
}

}  // namespace ldmpi::backend::cpu
