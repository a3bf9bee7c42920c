// GroupNorm(+SiLU) over channels-last images. Samples are cut into pieces of pixels; every piece leaves two numbers a
// channel, which are combined in double precision in the order of the pieces.

#include <cmath>

#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/vector_math.h"

namespace ldmpi::backend::cpu {
namespace {

struct Plan {
  std::int64_t samples;
  std::int64_t channels;
  std::int64_t groups;
  Pieces pieces;  ///< of the pixels of a sample

  Plan(const ir::GroupNorm& op, const ir::Type& x)
      : samples(x.shape[0]), channels(x.columns()), groups(op.groups), pieces(x.rows() / x.shape[0], 16) {}
  [[nodiscard]] std::int64_t per_group() const { return channels / groups; }
  [[nodiscard]] std::int64_t work() const { return samples * pieces.extent * channels * 2; }

  /// body(sample, piece) for every piece.
  template <typename Body>
  void run(const Body& body) const {
    const std::int64_t count = pieces.count();
    parallel_for(samples * count, work(), [&](std::int64_t i) { body(i / count, i % count); });
  }
};

/// Workspace: two floats a channel for every piece, and two for every sample.
struct Parts {
  float* partial;
  float* sample;
  std::int64_t row;  ///< floats from one piece or sample to the next
  std::int64_t per_sample;
  std::size_t bytes;

  Parts(const Plan& plan, void* workspace) : row(2 * plan.channels), per_sample(plan.pieces.count()) {
    Scratch scratch(workspace);
    partial = scratch.take<float>(plan.samples * per_sample * row);
    sample = scratch.take<float>(plan.samples * row);
    bytes = scratch.used();
  }
  [[nodiscard]] float* of_piece(std::int64_t n, std::int64_t piece) const {
    return partial + (n * per_sample + piece) * row;
  }
  [[nodiscard]] float* of_sample(std::int64_t n) const { return sample + n * row; }
};

/// Mean and sum of squared deviations of each channel over the pixels of one piece.
void measure(const float* x, std::int64_t pitch, std::int64_t pixels, std::int64_t channels, float* mean, float* m2) {
  std::fill_n(mean, channels, 0.0F);
  std::fill_n(m2, channels, 0.0F);
  for (std::int64_t p = 0; p < pixels; ++p) {
    const float* from = x + p * pitch;
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) mean[c] += from[c];
  }
  const float share = 1.0F / static_cast<float>(pixels);
  for (std::int64_t c = 0; c < channels; ++c) mean[c] *= share;
  for (std::int64_t p = 0; p < pixels; ++p) {
    const float* from = x + p * pitch;
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c) {
      const float d = from[c] - mean[c];
      m2[c] += d * d;
    }
  }
}

/// Joins the pieces of sample n: mean and rstd of each group, and mean and gamma * rstd of each channel.
void join(const Plan& plan, const Parts& parts, std::int64_t n, float epsilon, const float* gamma, float* mean,
          float* rstd) {
  const std::int64_t per_group = plan.per_group();
  const auto elements = static_cast<double>(plan.pieces.extent * per_group);
  float* channel_mean = parts.of_sample(n);
  float* factor = channel_mean + plan.channels;
  for (std::int64_t g = 0; g < plan.groups; ++g) {
    const std::int64_t first = g * per_group;
    double sum = 0;
    for (std::int64_t piece = 0; piece < plan.pieces.count(); ++piece) {
      double piece_sum = 0;
      for (std::int64_t c = first; c < first + per_group; ++c) piece_sum += double{parts.of_piece(n, piece)[c]};
      sum += piece_sum * static_cast<double>(plan.pieces.end(piece) - plan.pieces.begin(piece));
    }
    const double center = sum / elements;
    double m2 = 0;
    for (std::int64_t piece = 0; piece < plan.pieces.count(); ++piece) {
      const auto pixels = static_cast<double>(plan.pieces.end(piece) - plan.pieces.begin(piece));
      const float* part = parts.of_piece(n, piece);
      for (std::int64_t c = first; c < first + per_group; ++c) {
        const double d = double{part[c]} - center;
        m2 += double{part[plan.channels + c]} + pixels * d * d;
      }
    }
    mean[g] = static_cast<float>(center);
    rstd[g] = static_cast<float>(1.0 / std::sqrt(m2 / elements + double{epsilon}));
    for (std::int64_t c = first; c < first + per_group; ++c) {
      channel_mean[c] = mean[g];
      factor[c] = gamma[c] * rstd[g];
    }
  }
}

template <bool kSilu>
void apply(const float* x, const float* mean, const float* factor, const float* beta, float* y, std::int64_t channels) {
#pragma omp simd
  for (std::int64_t c = 0; c < channels; ++c) {
    const float z = (x[c] - mean[c]) * factor[c] + beta[c];
    y[c] = kSilu ? silu(z) : z;
  }
}

/// Per-channel vectors of the gradient: all of `channels` elements.
struct Vectors {
  const float* mean;
  const float* rstd;
  const float* gamma;
  const float* beta;
};

/// Sums of dz and of dz * xhat over one pixel, added to `sum` and `product`. With SiLU dz is kept in `dx`, which is
/// cheaper than a second exponential; dx may be dy.
template <bool kSilu>
void gather(const float* dy, const float* x, const Vectors& v, float* sum, float* product, float* dx,
            std::int64_t channels) {
#pragma omp simd
  for (std::int64_t c = 0; c < channels; ++c) {
    const float normal = (x[c] - v.mean[c]) * v.rstd[c];
    const float dz = kSilu ? dy[c] * silu_slope(v.gamma[c] * normal + v.beta[c]) : dy[c];
    if (kSilu) dx[c] = dz;
    sum[c] += dz;
    product[c] += dz * normal;
  }
}

/// dx of one pixel; `sum` and `product` are the group's means of gamma * dz and gamma * dz * xhat, per channel.
void scatter(const float* dz, const float* x, const Vectors& v, const float* sum, const float* product, float* dx,
             std::int64_t channels) {
#pragma omp simd
  for (std::int64_t c = 0; c < channels; ++c) {
    const float normal = (x[c] - v.mean[c]) * v.rstd[c];
    dx[c] = v.rstd[c] * (v.gamma[c] * dz[c] - sum[c] - normal * product[c]);
  }
}

/// Workspace of the gradient: Parts, and mean and rstd of each sample's channels.
struct GradParts : Parts {
  float* expanded;

  GradParts(const Plan& plan, void* workspace) : Parts(plan, workspace) {
    expanded = workspace == nullptr ? nullptr : sample + bytes_of_samples(plan) / sizeof(float);
    bytes += bytes_of_samples(plan);
  }
  static std::size_t bytes_of_samples(const Plan& plan) {
    return static_cast<std::size_t>(round_up(plan.samples * 2 * plan.channels, 16)) * sizeof(float);
  }
};

/// Sums the pieces of sample n into of_piece(n, 0), and leaves the groups' means in of_sample(n).
void join_gradients(const Plan& plan, const Parts& parts, std::int64_t n, const float* gamma) {
  const std::int64_t channels = plan.channels;
  float* total = parts.of_piece(n, 0);
  for (std::int64_t i = 0; i < 2 * channels; ++i) {
    double sum = 0;
    for (std::int64_t piece = 0; piece < plan.pieces.count(); ++piece) sum += double{parts.of_piece(n, piece)[i]};
    total[i] = static_cast<float>(sum);
  }
  float* mean = parts.of_sample(n);
  const auto elements = static_cast<double>(plan.pieces.extent * plan.per_group());
  for (std::int64_t i = 0; i < 2 * channels; i += plan.per_group()) {
    double sum = 0;
    for (std::int64_t c = i; c < i + plan.per_group(); ++c) sum += double{gamma[c % channels]} * double{total[c]};
    std::fill_n(mean + i, plan.per_group(), static_cast<float>(sum / elements));
  }
}

template <bool kSilu>
KernelPtr make_forward(const ir::GroupNorm& op, const NodeTypes& types) {
  return own_kernel([plan = Plan(op, types.inputs[0]), epsilon = op.epsilon, x_pitch = types.inputs[0].row_pitch(),
                     y_pitch = types.outputs[0].row_pitch()](const KernelArgs& args) {
    const Parts parts(plan, args.workspace);
    const std::int64_t channels = plan.channels;
    const float* gamma = args.in<float>(1);
    const float* beta = args.in<float>(2);
    plan.run([&](std::int64_t n, std::int64_t piece) {
      const std::int64_t begin = plan.pieces.begin(piece);
      float* part = parts.of_piece(n, piece);
      measure(args.in<float>(0) + (n * plan.pieces.extent + begin) * x_pitch, x_pitch, plan.pieces.end(piece) - begin,
              channels, part, part + channels);
    });
    parallel_for(plan.samples, plan.work(), [&](std::int64_t n) {
      const std::int64_t first = n * plan.groups;
      join(plan, parts, n, epsilon, gamma, args.out<float>(1) + first, args.out<float>(2) + first);
    });
    plan.run([&](std::int64_t n, std::int64_t piece) {
      const float* mean = parts.of_sample(n);
      for (std::int64_t p = plan.pieces.begin(piece); p < plan.pieces.end(piece); ++p) {
        const std::int64_t row = n * plan.pieces.extent + p;
        apply<kSilu>(args.in<float>(0) + row * x_pitch, mean, mean + channels, beta, args.out<float>(0) + row * y_pitch,
                     channels);
      }
    });
  });
}

template <bool kSilu>
KernelPtr make_gradient(const ir::GroupNorm& op, const NodeTypes& types) {
  return own_kernel([plan = Plan(op, types.inputs[1]), dy_pitch = types.inputs[0].row_pitch(),
                     x_pitch = types.inputs[1].row_pitch(),
                     dx_pitch = types.outputs[0].row_pitch()](const KernelArgs& args) {
    const GradParts parts(plan, args.workspace);
    const std::int64_t channels = plan.channels;
    const std::int64_t pixels = plan.pieces.extent;
    const float* gamma = args.in<float>(2);
    const float* beta = args.in<float>(3);
    for (std::int64_t n = 0; n < plan.samples; ++n)
      for (std::int64_t c = 0; c < channels; ++c) {
        const std::int64_t group = n * plan.groups + c / plan.per_group();
        parts.expanded[2 * n * channels + c] = args.in<float>(4)[group];
        parts.expanded[(2 * n + 1) * channels + c] = args.in<float>(5)[group];
      }
    const auto vectors = [&](std::int64_t n) {
      const float* mean = parts.expanded + 2 * n * channels;
      return Vectors{mean, mean + channels, gamma, beta};
    };
    const auto dy = [&](std::int64_t row) { return args.in<float>(0) + row * dy_pitch; };
    const auto x = [&](std::int64_t row) { return args.in<float>(1) + row * x_pitch; };
    const auto dx = [&](std::int64_t row) { return args.out<float>(0) + row * dx_pitch; };
    plan.run([&](std::int64_t n, std::int64_t piece) {
      float* part = parts.of_piece(n, piece);
      std::fill_n(part, 2 * channels, 0.0F);
      for (std::int64_t row = n * pixels + plan.pieces.begin(piece); row < n * pixels + plan.pieces.end(piece); ++row)
        gather<kSilu>(dy(row), x(row), vectors(n), part, part + channels, dx(row), channels);
    });
    parallel_for(plan.samples, plan.work(), [&](std::int64_t n) { join_gradients(plan, parts, n, gamma); });
    for (std::int64_t c = 0; c < channels; ++c) {
      double sum = 0;
      double product = 0;
      for (std::int64_t n = 0; n < plan.samples; ++n) {
        sum += double{parts.of_piece(n, 0)[c]};
        product += double{parts.of_piece(n, 0)[channels + c]};
      }
      args.out<float>(1)[c] = static_cast<float>(product);
      args.out<float>(2)[c] = static_cast<float>(sum);
    }
    plan.run([&](std::int64_t n, std::int64_t piece) {
      const float* mean = parts.of_sample(n);
      for (std::int64_t row = n * pixels + plan.pieces.begin(piece); row < n * pixels + plan.pieces.end(piece); ++row)
        scatter(kSilu ? dx(row) : dy(row), x(row), vectors(n), mean, mean + channels, dx(row), channels);
    });
  });
}

}  // namespace

NodeAnswer answer(const ir::GroupNorm& op, const NodeTypes& types) {
  return {.workspace_bytes = Parts(Plan(op, types.inputs[0]), nullptr).bytes,
          .pitched_inputs = true,
          .pitched_outputs = true,
          .overwrites_first = true};
}

KernelPtr make_kernel(const ir::GroupNorm& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return op.silu ? make_forward<true>(op, types) : make_forward<false>(op, types);
}

NodeAnswer answer(const ir::GroupNormGrad& op, const NodeTypes& types) {
  return {.workspace_bytes = GradParts(Plan(op.forward, types.inputs[1]), nullptr).bytes,
          .pitched_inputs = true,
          .pitched_outputs = true,
          .overwrites_first = true};
}

KernelPtr make_kernel(const ir::GroupNormGrad& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return op.forward.silu ? make_gradient<true>(op.forward, types) : make_gradient<false>(op.forward, types);
}

}  // namespace ldmpi::backend::cpu
