// LayerNorm: a warp takes a row, which stays in the first-level cache between its passes.

#include "backend/cuda/collective.cuh"
#include "backend/cuda/columns.cuh"
#include "backend/cuda/kernels.h"

namespace ldmpi::backend::cuda {
namespace {

constexpr int kWarps = kThreads / 32;

Grid row_blocks(std::int64_t rows) {
  return {dim3(static_cast<unsigned>(ceil_div(rows, kWarps))), dim3(32, kWarps)};
}

template <typename T>
struct Forward {
  const T* x;
  const T* gamma;
  const T* beta;
  T* y;
  float* mean;
  float* rstd;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t x_pitch;
  std::int64_t y_pitch;
  float epsilon;
};

template <int N, typename T>
__global__ void __launch_bounds__(kThreads) normalise(Forward<T> a) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.y;
  if (row >= a.rows) return;
  const T* x = a.x + row * a.x_pitch;
  const std::int64_t first = static_cast<std::int64_t>(threadIdx.x) * N;
  float sum = 0;
  for (std::int64_t c = first; c < a.columns; c += 32 * N) {
    const auto values = load<N>(x + c);
    for (int i = 0; i < N; ++i) sum += values.at[i];
  }
  const float mean = warp_sum(sum) / static_cast<float>(a.columns);
  float squares = 0;
  for (std::int64_t c = first; c < a.columns; c += 32 * N) {
    const auto values = load<N>(x + c);
    for (int i = 0; i < N; ++i) squares += (values.at[i] - mean) * (values.at[i] - mean);
  }
  const float rstd = 1.0F / sqrtf(warp_sum(squares) / static_cast<float>(a.columns) + a.epsilon);
  for (std::int64_t c = first; c < a.columns; c += 32 * N) {
    auto values = load<N>(x + c);
    const auto gamma = load<N>(a.gamma + c);
    const auto beta = load<N>(a.beta + c);
    for (int i = 0; i < N; ++i) values.at[i] = (values.at[i] - mean) * rstd * gamma.at[i] + beta.at[i];
    store(a.y + row * a.y_pitch + c, values);
  }
  if (threadIdx.x != 0) return;
  a.mean[row] = mean;
  a.rstd[row] = rstd;
}

template <typename T>
struct Gradient {
  const T* dy;
  const T* x;
  const T* gamma;
  const float* mean;
  const float* rstd;
  T* dx;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t dy_pitch;
  std::int64_t x_pitch;
  std::int64_t dx_pitch;
};

/// dx = rstd * (gamma * dy - mean(gamma * dy) - xhat * mean(gamma * dy * xhat)), the means over the row.
template <int N, typename T>
__global__ void __launch_bounds__(kThreads) row_gradient(Gradient<T> a) {
  const std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kWarps + threadIdx.y;
  if (row >= a.rows) return;
  const float mean = a.mean[row];
  const float rstd = a.rstd[row];
  // use(column, gamma * dy, xhat) for every N columns of this lane.
  const auto each_slope = [&](auto&& use) {
    for (std::int64_t c = static_cast<std::int64_t>(threadIdx.x) * N; c < a.columns; c += 32 * N) {
      auto slopes = load<N>(a.dy + row * a.dy_pitch + c);
      auto normals = load<N>(a.x + row * a.x_pitch + c);
      const auto gamma = load<N>(a.gamma + c);
      for (int i = 0; i < N; ++i) {
        slopes.at[i] *= gamma.at[i];
        normals.at[i] = (normals.at[i] - mean) * rstd;
      }
      use(c, slopes, normals);
    }
  };
  float sum = 0;
  float product = 0;
  each_slope([&](std::int64_t, const Floats<N>& slopes, const Floats<N>& normals) {
    for (int i = 0; i < N; ++i) {
      sum += slopes.at[i];
      product += slopes.at[i] * normals.at[i];
    }
  });
  sum = warp_sum(sum) / static_cast<float>(a.columns);
  product = warp_sum(product) / static_cast<float>(a.columns);
  each_slope([&](std::int64_t c, const Floats<N>& slopes, const Floats<N>& normals) {
    Floats<N> dx;
    for (int i = 0; i < N; ++i) dx.at[i] = rstd * (slopes.at[i] - sum - normals.at[i] * product);
    store(a.dx + row * a.dx_pitch + c, dx);
  });
}

/// Per column and piece of rows the sums of dy and dy * xhat.
template <int N, typename T>
__global__ void __launch_bounds__(kThreads) column_gradients(Gradient<T> a, Pieces pieces, float* partial) {
  const std::int64_t column = own_column<N>();
  const Rows rows = rows_of_piece(pieces);
  Floats<N> sums[2] = {};
  if (column < a.columns) {
    for (std::int64_t row = rows.begin + threadIdx.y; row < rows.end; row += blockDim.y) {
      const auto slopes = load<N>(a.dy + row * a.dy_pitch + column);
      const auto values = load<N>(a.x + row * a.x_pitch + column);
      for (int i = 0; i < N; ++i) {
        sums[0].at[i] += slopes.at[i];
        sums[1].at[i] += slopes.at[i] * (values.at[i] - a.mean[row]) * a.rstd[row];
      }
    }
  }
  sum_down(sums, a.columns, partial + static_cast<std::int64_t>(blockIdx.y) * 2 * a.columns);
}

}  // namespace

KernelPtr make_kernel(const ir::LayerNorm& op, const NodeTypes& types, Site& site) {
  const ir::Type& x = types.inputs[0];
  const ir::Type& y = types.outputs[0];
  expect_equal_dtypes(op.name, {&x, &types.inputs[1], &types.inputs[2], &y});
  return with_float(x.dtype, [&]<typename T>(T) -> KernelPtr {
    const bool fits = fits_wide(x, kWide<T>) && fits_wide(y, kWide<T>);
    return own_kernel([=, stream = site.stream(), epsilon = op.epsilon](const KernelArgs& args) {
      const Forward<T> a{args.in<T>(0), args.in<T>(1), args.in<T>(2), args.out<T>(0), args.out<float>(1),
                         args.out<float>(2), x.rows(), x.columns(), x.row_pitch(), y.row_pitch(), epsilon};
      with_width<kWide<T>>(fits && aligned({a.x, a.y, a.gamma, a.beta}), [&](auto width) {
        launch(normalise<decltype(width)::value, T>, row_blocks(a.rows), stream, a);
      });
    });
  });
}

KernelPtr make_kernel(const ir::LayerNormGrad& op, const NodeTypes& types, Site& site) {
  const ir::Type& dy = types.inputs[0];
  const ir::Type& x = types.inputs[1];
  const ir::Type& dx = types.outputs[0];
  expect_equal_dtypes(op.name, {&dy, &x, &types.inputs[2], &dx, &types.outputs[1], &types.outputs[2]});
  return with_float(x.dtype, [&]<typename T>(T) -> KernelPtr {
    const bool fits = fits_wide(dy, kWide<T>) && fits_wide(x, kWide<T>) && fits_wide(dx, kWide<T>);
    return own_kernel([=, stream = site.stream(), pieces = scratch::row_pieces(x.rows())](const KernelArgs& args) {
      const Gradient<T> a{args.in<T>(0),  args.in<T>(1), args.in<T>(2), args.in<float>(3), args.in<float>(4),
                          args.out<T>(0), x.rows(),      x.columns(),   dy.row_pitch(),    x.row_pitch(),
                          dx.row_pitch()};
      auto* partial = static_cast<float*>(args.workspace);
      with_width<kWide<T>>(fits && aligned({a.dy, a.x, a.dx, a.gamma}), [&](auto width) {
        constexpr int kN = decltype(width)::value;
        // The columns first: dx may take the place of dy.
        launch(column_gradients<kN, T>, Slab(a.columns, kN).grid(kN, pieces.count, 1, 2), stream, a, pieces, partial);
        launch(row_gradient<kN, T>, row_blocks(a.rows), stream, a);
      });
      join(partial, 1, pieces.count, a.columns, Joined<T, 2>{{args.out<T>(2), args.out<T>(1)}, a.columns}, stream);
    });
  });
}

}  // namespace ldmpi::backend::cuda
