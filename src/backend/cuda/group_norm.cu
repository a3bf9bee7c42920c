// GroupNorm(+SiLU) over channels-last images. Blocks take pieces of the pixels of a sample and a slab of its channels, so
// that what belongs to a channel stays in registers; the sums of the pieces are joined in f64.

#include "backend/cuda/collective.cuh"
#include "backend/cuda/columns.cuh"
#include "backend/cuda/kernels.h"
#include "backend/cuda/math.cuh"

namespace ldmpi::backend::cuda {
namespace {

struct Norm {
  std::int64_t samples;
  std::int64_t channels;
  std::int64_t groups;
  std::int64_t per_group;
  Pieces pieces;  ///< of the pixels of a sample

  Norm(const ir::GroupNorm& op, const ir::Type& x)
      : samples(x.shape[0]),
        channels(x.columns()),
        groups(op.groups),
        per_group(x.columns() / op.groups),
        pieces(scratch::norm_pieces(x.rows() / x.shape[0])) {}

  [[nodiscard]] Grid slabs(int width, int sums) const {
    return Slab(channels, width).grid(width, pieces.count, samples, sums);
  }
  [[nodiscard]] Grid group_blocks() const {
    return {dim3(static_cast<unsigned>(groups), static_cast<unsigned>(samples)), dim3(kThreads),
            kThreads * sizeof(double)};
  }
};

/// Workspace: two numbers a channel for every piece; for the gradient also for every sample, and two a group.
struct Parts {
  float* pieces;
  float* samples;
  float* groups;

  Parts(const Norm& norm, bool gradient, void* workspace) {
    Scratch scratch(workspace);
    pieces = scratch.take<float>(norm.samples * norm.pieces.count * 2 * norm.channels);
    samples = gradient ? scratch.take<float>(norm.samples * 2 * norm.channels) : nullptr;
    groups = gradient ? scratch.take<float>(norm.samples * norm.groups * 2) : nullptr;
  }
};

/// Per channel and piece the sums of d and d * d, d = x - x of the piece's first pixel: a shift near the mean keeps the
/// squares small.
template <int N, typename T>
__global__ void __launch_bounds__(kThreads) measure(const T* x, std::int64_t pitch, Norm norm, float* partial) {
  const std::int64_t column = own_column<N>();
  const Rows rows = rows_of_piece(norm.pieces);
  Floats<N> sums[2] = {};
  if (column < norm.channels) {
    const auto origin = load<N>(x + rows.begin * pitch + column);
    for (std::int64_t row = rows.begin + threadIdx.y; row < rows.end; row += blockDim.y) {
      const auto values = load<N>(x + row * pitch + column);
      for (int i = 0; i < N; ++i) {
        const float d = values.at[i] - origin.at[i];
        sums[0].at[i] += d;
        sums[1].at[i] += d * d;
      }
    }
  }
  sum_down(sums, norm.channels, partial + (blockIdx.z * norm.pieces.count + blockIdx.y) * 2 * norm.channels);
}

/// Mean and 1 / standard deviation of group blockIdx.x of sample blockIdx.y out of what measure left.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    settle(const T* x, std::int64_t pitch, Norm norm, const float* partial, float epsilon, float* mean, float* rstd) {
  const std::int64_t sample = blockIdx.y;
  const Pieces& pieces = norm.pieces;
  // use(pixels, origin, sum of d, sum of d * d) for each channel of the group in each piece.
  const auto each_part = [&](auto&& use) {
    for (std::int64_t i = threadIdx.x; i < pieces.count * norm.per_group; i += blockDim.x) {
      const std::int64_t piece = i / norm.per_group;
      const std::int64_t channel = blockIdx.x * norm.per_group + i % norm.per_group;
      const std::int64_t first = piece * pieces.size;
      const std::int64_t rest = pieces.extent - first;
      const float* part = partial + (sample * pieces.count + piece) * 2 * norm.channels + channel;
      use(static_cast<double>(rest < pieces.size ? rest : pieces.size),
          static_cast<double>(to_float(x[(sample * pieces.extent + first) * pitch + channel])),
          static_cast<double>(part[0]), static_cast<double>(part[norm.channels]));
    }
  };
  const auto elements = static_cast<double>(pieces.extent * norm.per_group);
  double sum = 0;
  each_part([&](double pixels, double origin, double d, double) { sum += pixels * origin + d; });
  const double center = block_sum(sum) / elements;
  double squares = 0;
  each_part([&](double pixels, double origin, double d, double dd) {
    const double away = origin - center;
    squares += dd + away * (2 * d + pixels * away);
  });
  const double variance = block_sum(squares) / elements;
  if (threadIdx.x != 0) return;
  mean[sample * norm.groups + blockIdx.x] = static_cast<float>(center);
  rstd[sample * norm.groups + blockIdx.x] =
      static_cast<float>(1.0 / sqrt(variance + static_cast<double>(epsilon)));
}

/// What N channels of sample blockIdx.z have in common in all pixels.
template <int N>
struct Channels {
  Floats<N> mean;
  Floats<N> rstd;
  Floats<N> gamma;
  Floats<N> beta;

  template <typename T>
  __device__ Channels(const Norm& norm, std::int64_t column, const float* means, const float* rstds, const T* gammas,
                      const T* betas)
      : gamma(load<N>(gammas + column)), beta(load<N>(betas + column)) {
    for (int i = 0; i < N; ++i) {
      const std::int64_t group = blockIdx.z * norm.groups + (column + i) / norm.per_group;
      mean.at[i] = means[group];
      rstd.at[i] = rstds[group];
    }
  }
};

template <typename T>
struct Forward {
  const T* x;
  const float* mean;
  const float* rstd;
  const T* gamma;
  const T* beta;
  T* y;
  std::int64_t x_pitch;
  std::int64_t y_pitch;
};

template <int N, bool kSilu, typename T>
__global__ void __launch_bounds__(kThreads) apply(Forward<T> a, Norm norm) {
  const std::int64_t column = own_column<N>();
  if (column >= norm.channels) return;
  const Channels<N> of(norm, column, a.mean, a.rstd, a.gamma, a.beta);
  const Rows rows = rows_of_piece(norm.pieces);
  for (std::int64_t row = rows.begin + threadIdx.y; row < rows.end; row += blockDim.y) {
    auto values = load<N>(a.x + row * a.x_pitch + column);
    for (int i = 0; i < N; ++i) {
      const float z = (values.at[i] - of.mean.at[i]) * (of.gamma.at[i] * of.rstd.at[i]) + of.beta.at[i];
      values.at[i] = kSilu ? silu(z) : z;
    }
    store(a.y + row * a.y_pitch + column, values);
  }
}

template <typename T>
struct Gradient {
  const T* dy;
  const T* x;
  const T* gamma;
  const T* beta;
  const float* mean;
  const float* rstd;
  T* dx;
  std::int64_t dy_pitch;
  std::int64_t x_pitch;
  std::int64_t dx_pitch;
};

/// use(row, dz, xhat) for N channels of each pixel of this thread, dz being the slope before the SiLU.
template <int N, bool kSilu, typename T, typename Use>
__device__ __forceinline__ void each_slope(const Gradient<T>& a, const Norm& norm, const Channels<N>& of,
                                           std::int64_t column, const Use& use) {
  const Rows rows = rows_of_piece(norm.pieces);
  for (std::int64_t row = rows.begin + threadIdx.y; row < rows.end; row += blockDim.y) {
    auto slopes = load<N>(a.dy + row * a.dy_pitch + column);
    auto normals = load<N>(a.x + row * a.x_pitch + column);
    for (int i = 0; i < N; ++i) {
      normals.at[i] = (normals.at[i] - of.mean.at[i]) * of.rstd.at[i];
      if (kSilu) slopes.at[i] *= silu_slope(of.gamma.at[i] * normals.at[i] + of.beta.at[i]);
    }
    use(row, slopes, normals);
  }
}

/// Per channel and piece the sums of dz and dz * xhat.
template <int N, bool kSilu, typename T>
__global__ void __launch_bounds__(kThreads) gather(Gradient<T> a, Norm norm, float* partial) {
  const std::int64_t column = own_column<N>();
  Floats<N> sums[2] = {};
  if (column < norm.channels) {
    const Channels<N> of(norm, column, a.mean, a.rstd, a.gamma, a.beta);
    each_slope<N, kSilu>(a, norm, of, column, [&](std::int64_t, const Floats<N>& slopes, const Floats<N>& normals) {
      for (int i = 0; i < N; ++i) {
        sums[0].at[i] += slopes.at[i];
        sums[1].at[i] += slopes.at[i] * normals.at[i];
      }
    });
  }
  sum_down(sums, norm.channels, partial + (blockIdx.z * norm.pieces.count + blockIdx.y) * 2 * norm.channels);
}

/// Means over group blockIdx.x of sample blockIdx.y of gamma * dz and gamma * dz * xhat.
template <typename T>
__global__ void __launch_bounds__(kThreads) fold(const float* sums, const T* gamma, Norm norm, float* means) {
  const auto elements = static_cast<double>(norm.pieces.extent * norm.per_group);
  for (int k = 0; k < 2; ++k) {
    double sum = 0;
    for (std::int64_t i = threadIdx.x; i < norm.per_group; i += blockDim.x) {
      const std::int64_t channel = blockIdx.x * norm.per_group + i;
      sum += static_cast<double>(to_float(gamma[channel])) *
             static_cast<double>(sums[(blockIdx.y * 2 + k) * norm.channels + channel]);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0)
      means[(blockIdx.y * norm.groups + blockIdx.x) * 2 + k] = static_cast<float>(sum / elements);
  }
}

/// dx = rstd * (gamma * dz - mean(gamma * dz) - xhat * mean(gamma * dz * xhat)), the means over the group.
template <int N, bool kSilu, typename T>
__global__ void __launch_bounds__(kThreads) scatter(Gradient<T> a, Norm norm, const float* means) {
  const std::int64_t column = own_column<N>();
  if (column >= norm.channels) return;
  const Channels<N> of(norm, column, a.mean, a.rstd, a.gamma, a.beta);
  Floats<N> mean[2];
  for (int i = 0; i < N; ++i)
    for (int k = 0; k < 2; ++k)
      mean[k].at[i] = means[(blockIdx.z * norm.groups + (column + i) / norm.per_group) * 2 + k];
  each_slope<N, kSilu>(a, norm, of, column, [&](std::int64_t row, const Floats<N>& slopes, const Floats<N>& normals) {
    Floats<N> dx;
    for (int i = 0; i < N; ++i)
      dx.at[i] = of.rstd.at[i] *
                 (of.gamma.at[i] * slopes.at[i] - mean[0].at[i] - normals.at[i] * mean[1].at[i]);
    store(a.dx + row * a.dx_pitch + column, dx);
  });
}

template <typename T, bool kSilu>
KernelPtr make_forward(const ir::GroupNorm& op, const NodeTypes& types, Stream stream) {
  const ir::Type& x = types.inputs[0];
  const ir::Type& y = types.outputs[0];
  const bool fits = fits_wide(x, kWide<T>) && fits_wide(y, kWide<T>);
  return own_kernel([=, norm = Norm(op, x), epsilon = op.epsilon, x_pitch = x.row_pitch(),
                     y_pitch = y.row_pitch()](const KernelArgs& args) {
    const Parts parts(norm, false, args.workspace);
    const Forward<T> a{args.in<T>(0), args.out<float>(1), args.out<float>(2), args.in<T>(1), args.in<T>(2),
                       args.out<T>(0), x_pitch, y_pitch};
    with_width<kWide<T>>(fits && aligned({a.x, a.y, a.gamma, a.beta}), [&](auto width) {
      constexpr int kN = decltype(width)::value;
      launch(measure<kN, T>, norm.slabs(kN, 2), stream, a.x, x_pitch, norm, parts.pieces);
      launch(settle<T>, norm.group_blocks(), stream, a.x, x_pitch, norm, parts.pieces, epsilon, args.out<float>(1),
             args.out<float>(2));
      launch(apply<kN, kSilu, T>, norm.slabs(kN, 0), stream, a, norm);
    });
  });
}

template <typename T, bool kSilu>
KernelPtr make_gradient(const ir::GroupNorm& op, const NodeTypes& types, Stream stream) {
  const ir::Type& dy = types.inputs[0];
  const ir::Type& x = types.inputs[1];
  const ir::Type& dx = types.outputs[0];
  const bool fits = fits_wide(dy, kWide<T>) && fits_wide(x, kWide<T>) && fits_wide(dx, kWide<T>);
  return own_kernel([=, norm = Norm(op, x), dy_pitch = dy.row_pitch(), x_pitch = x.row_pitch(),
                     dx_pitch = dx.row_pitch()](const KernelArgs& args) {
    const Parts parts(norm, true, args.workspace);
    const std::int64_t channels = norm.channels;
    const Gradient<T> a{args.in<T>(0),     args.in<T>(1),     args.in<T>(2),  args.in<T>(3), args.in<float>(4),
                        args.in<float>(5), args.out<T>(0), dy_pitch,       x_pitch,       dx_pitch};
    with_width<kWide<T>>(fits && aligned({a.dy, a.x, a.dx, a.gamma, a.beta}), [&](auto width) {
      constexpr int kN = decltype(width)::value;
      launch(gather<kN, kSilu, T>, norm.slabs(kN, 2), stream, a, norm, parts.pieces);
      join(parts.pieces, norm.samples, norm.pieces.count, channels,
           Joined<float, 2>{{parts.samples, parts.samples + channels}, 2 * channels}, stream);
      launch(fold<T>, norm.group_blocks(), stream, parts.samples, a.gamma, norm, parts.groups);
      join(parts.samples, 1, norm.samples, channels, Joined<T, 2>{{args.out<T>(2), args.out<T>(1)}, channels}, stream);
      launch(scatter<kN, kSilu, T>, norm.slabs(kN, 0), stream, a, norm, parts.groups);
    });
  });
}

}  // namespace

KernelPtr make_kernel(const ir::GroupNorm& op, const NodeTypes& types, Site& site) {
  expect_equal_dtypes(op.name, {&types.inputs[0], &types.inputs[1], &types.inputs[2], &types.outputs[0]});
  return with_float(types.inputs[0].dtype, [&]<typename T>(T) {
    return op.silu ? make_forward<T, true>(op, types, site.stream()) : make_forward<T, false>(op, types, site.stream());
  });
}

KernelPtr make_kernel(const ir::GroupNormGrad& op, const NodeTypes& types, Site& site) {
  expect_equal_dtypes(op.name, {&types.inputs[0], &types.inputs[1], &types.inputs[2], &types.inputs[3],
                                &types.outputs[0], &types.outputs[1], &types.outputs[2]});
  return with_float(types.inputs[0].dtype, [&]<typename T>(T) {
    return op.forward.silu ? make_gradient<T, true>(op.forward, types, site.stream())
                           : make_gradient<T, false>(op.forward, types, site.stream());
  });
}

}  // namespace ldmpi::backend::cuda
