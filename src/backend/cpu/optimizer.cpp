// The optimizer's kernels: flat runs over the parameter arenas, cut into pieces of fixed size.

#include <cmath>
#include <vector>

#include "backend/cpu/element.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/weight_layout.h"

namespace ldmpi::backend::cpu {
namespace {

constexpr std::int64_t kPiece = 16384;

using Ranges = std::vector<ir::ParameterRange>;

/// The ranges cut into runs of at most kPiece elements.
Ranges pieces_of(const Ranges& ranges) {
  Ranges pieces;
  for (const auto& range : ranges)
    for (std::int64_t begin = range.begin; begin < range.end; begin += kPiece) {
      const auto skipped = begin - range.begin;
      pieces.push_back({begin, std::min(begin + kPiece, range.end), range.master_begin + skipped,
                        range.moment_begin + skipped, range.decay});
    }
  return pieces;
}

std::int64_t elements_of(const Ranges& ranges) {
  std::int64_t total = 0;
  for (const auto& range : ranges) total += range.end - range.begin;
  return total;
}

double& slot(double* state, ir::StateSlot which) {
  return state[static_cast<int>(which)];
}
double slot(const double* state, ir::StateSlot which) {
  return state[static_cast<int>(which)];
}

/// The gradient's norm without the loss scale; not finite if any gradient is not.
double norm_of(const double* sum_squares, const double* state) {
  return std::sqrt(*sum_squares) / slot(state, ir::StateSlot::LossScale);
}

/// The numbers of one update that are equal for all parameters.
struct Rates {
  float gradient;  ///< factor that removes the loss scale and clips
  float keep1, take1, keep2, take2;
  float step;  ///< lr / (1 - beta1^k)
  float root;  ///< 1 / sqrt(1 - beta2^k)
  float epsilon;
  float decay;    ///< 1 - lr * weight_decay
  float average;  ///< 1 - d of the EMA

  Rates(const ir::AdamW& op, double lr, double norm, const double* state) {
    const double k = slot(state, ir::StateSlot::Applied) + 1;
    const double seen = slot(state, ir::StateSlot::EmaCount);
    const double clip = op.max_norm > 0 ? std::min(1.0, double{op.max_norm} / (norm + 1e-6)) : 1.0;
    const double ema = op.ema_warmup ? std::min(double{op.ema_decay}, (1 + seen) / (10 + seen)) : double{op.ema_decay};
    gradient = static_cast<float>(clip / slot(state, ir::StateSlot::LossScale));
    keep1 = op.beta1;
    take1 = static_cast<float>(1 - double{op.beta1});
    keep2 = op.beta2;
    take2 = static_cast<float>(1 - double{op.beta2});
    step = static_cast<float>(lr / (1 - std::pow(double{op.beta1}, k)));
    root = static_cast<float>(1 / std::sqrt(1 - std::pow(double{op.beta2}, k)));
    epsilon = op.epsilon;
    decay = static_cast<float>(1 - lr * double{op.weight_decay});
    average = static_cast<float>(1 - ema);
  }
};

void update(const Rates& r, bool decays, const float* g, float* p, float* m, float* v, std::int64_t n) {
  const float decay = decays ? r.decay : 1.0F;
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const float slope = r.gradient * g[i];
    const float first = r.keep1 * m[i] + r.take1 * slope;
    const float second = r.keep2 * v[i] + r.take2 * slope * slope;
    m[i] = first;
    v[i] = second;
    p[i] = decay * p[i] - r.step * first / (std::sqrt(second) * r.root + r.epsilon);
  }
}

}  // namespace

NodeAnswer answer(const ir::Accumulate&, const NodeTypes&) {
  return {};
}

KernelPtr make_kernel(const ir::Accumulate&, const NodeTypes& types) {
  const ir::Type& x = types.inputs[1];
  const std::int64_t count = x.layout == ir::Layout::Parameter ? weight_layout_of(x.shape).elements : x.count();
  return own_kernel([count, type = x.dtype](const KernelArgs& args) {
    parallel_for(ceil_div(count, kPiece), count, [&](std::int64_t piece) {
      const std::int64_t begin = piece * kPiece;
      FloatsIn in;
      for_chunks(std::min(kPiece, count - begin), [&](std::int64_t i, std::int64_t m) {
        const float* from = in.at(args.inputs[1], type, begin + i, m);
        float* sum = args.in_out<float>(0) + begin + i;
#pragma omp simd
        for (std::int64_t j = 0; j < m; ++j) sum[j] += from[j];
      });
    });
  });
}

NodeAnswer answer(const ir::SumSquares& op, const NodeTypes&) {
  Scratch scratch;
  scratch.take<double>(static_cast<std::int64_t>(pieces_of(op.ranges).size()));
  return {.workspace_bytes = scratch.used()};
}

KernelPtr make_kernel(const ir::SumSquares& op, const NodeTypes& types) {
  const auto total = elements_of(op.ranges);
  return own_kernel([pieces = pieces_of(op.ranges), total, type = types.inputs[0].dtype](const KernelArgs& args) {
    auto* partial = static_cast<double*>(args.workspace);
    const auto count = static_cast<std::int64_t>(pieces.size());
    parallel_for(count, total, [&](std::int64_t piece) {
      const auto& range = pieces[static_cast<std::size_t>(piece)];
      double sum = 0;
      FloatsIn in;
      for_chunks(range.end - range.begin, [&](std::int64_t i, std::int64_t m) {
        const float* g = in.at(args.inputs[0], type, range.begin + i, m);
        double part = 0;
#pragma omp simd reduction(+ : part)
        for (std::int64_t j = 0; j < m; ++j) part += static_cast<double>(g[j]) * static_cast<double>(g[j]);
        sum += part;
      });
      partial[piece] = sum;
    });
    double sum = 0;
    for (std::int64_t piece = 0; piece < count; ++piece) sum += partial[piece];
    *args.out<double>(0) = sum;
  });
}

NodeAnswer answer(const ir::AdamW&, const NodeTypes&) {
  return {};
}

KernelPtr make_kernel(const ir::AdamW& op, const NodeTypes& types) {
  const DType gradient_type = types.inputs[3].dtype;
  const DType weight_type = op.has_weights ? types.inputs[7].dtype : DType::F32;
  return own_kernel([op, pieces = pieces_of(op.ranges), total = elements_of(op.ranges), gradient_type,
                     weight_type](const KernelArgs& args) {
    const auto* state = args.in<double>(2);
    const double norm = norm_of(args.in<double>(1), state);
    if (!std::isfinite(norm)) return;
    const Rates rates(op, double{*args.in<float>(0)}, norm, state);
    auto* master = args.in_out<float>(4);
    auto* first = args.in_out<float>(5);
    auto* second = args.in_out<float>(6);
    void* weights = op.has_weights ? args.in_out<void>(7) : nullptr;
    auto* ema = op.has_ema ? args.in_out<float>(op.has_weights ? 8 : 7) : nullptr;
    parallel_for(static_cast<std::int64_t>(pieces.size()), total, [&](std::int64_t piece) {
      const auto& range = pieces[static_cast<std::size_t>(piece)];
      FloatsIn in;
      for_chunks(range.end - range.begin, [&](std::int64_t i, std::int64_t m) {
        const std::int64_t at = range.begin + i;
        float* own = master + range.master_begin + i;
        const std::int64_t moment = range.moment_begin + i;
        update(rates, range.decay, in.at(args.inputs[3], gradient_type, at, m), own, first + moment, second + moment,
               m);
        if (weights != nullptr) write_floats(own, weight_type, element(weights, weight_type, at), m);
        if (ema == nullptr) return;
        float* average = ema + moment;
#pragma omp simd
        for (std::int64_t j = 0; j < m; ++j) average[j] += rates.average * (own[j] - average[j]);
      });
    });
  });
}

NodeAnswer answer(const ir::UpdateState&, const NodeTypes&) {
  return {};
}

KernelPtr make_kernel(const ir::UpdateState& op, const NodeTypes&) {
  return own_kernel([op](const KernelArgs& args) {
    using enum ir::StateSlot;
    auto* state = args.in_out<double>(1);
    const double scale = slot(state, LossScale);
    const double norm = norm_of(args.in<double>(0), state);
    const bool finite = std::isfinite(norm);
    if (finite) {
      slot(state, Applied) += 1;
      slot(state, EmaCount) += 1;
      slot(state, SkippedInRow) = 0;
      slot(state, GoodSteps) += 1;
      if (op.dynamic_scale && slot(state, GoodSteps) >= static_cast<double>(op.growth_interval)) {
        slot(state, LossScale) = 2 * scale;
        slot(state, GoodSteps) = 0;
      }
    } else {
      slot(state, Skipped) += 1;
      slot(state, SkippedInRow) += 1;
      slot(state, GoodSteps) = 0;
      if (op.dynamic_scale) slot(state, LossScale) = std::max(1.0, scale / 2);
    }
    auto* metrics = args.out<double>(0);
    metrics[0] = norm;
    metrics[1] = finite ? 1 : 0;
    metrics[2] = scale;
    metrics[3] = slot(state, Applied);
  });
}

NodeAnswer answer(const ir::ReadState&, const NodeTypes&) {
  return {};
}

KernelPtr make_kernel(const ir::ReadState& op, const NodeTypes&) {
  return own_kernel([op](const KernelArgs& args) {
    *args.out<float>(0) = static_cast<float>(slot(args.in<double>(0), op.slot) * double{op.factor});
  });
}

}  // namespace ldmpi::backend::cpu
