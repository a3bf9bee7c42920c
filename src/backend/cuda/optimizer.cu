// The update: one launch over all parameters, a block for every piece of a run. Moments, master copy, average and
// weights are read and written once.

#include <cmath>
#include <vector>

#include "backend/cuda/collective.cuh"
#include "backend/cuda/each.cuh"
#include "backend/cuda/kernels.h"

namespace ldmpi::backend::cuda {
namespace {

using Range = ir::ParameterRange;

/// The ranges cut into runs of at most scratch::kUpdatePiece elements, in device memory.
struct Runs {
  std::shared_ptr<const void> owner;
  std::int64_t count;
  bool fours;  ///< all begin and end at multiples of 4 elements

  Runs(const std::vector<Range>& ranges, Site& site) : fours(true) {
    const auto runs = cut(ranges);
    for (const auto& run : runs)
      fours = fours && (run.begin | run.end | run.master_begin | run.moment_begin) % 4 == 0;
    owner = site.keep(std::as_bytes(std::span(runs)));
    count = static_cast<std::int64_t>(runs.size());
  }
  [[nodiscard]] const Range* data() const { return static_cast<const Range*>(owner.get()); }
  [[nodiscard]] Grid grid() const {
    return {dim3(static_cast<unsigned>(count)), dim3(kThreads), kThreads * sizeof(double)};
  }

  static std::vector<Range> cut(const std::vector<Range>& ranges) {
    std::vector<Range> runs;
    for (const auto& range : ranges)
      for (std::int64_t begin = range.begin; begin < range.end; begin += scratch::kUpdatePiece) {
        const std::int64_t skipped = begin - range.begin;
        const std::int64_t end = begin + scratch::kUpdatePiece < range.end ? begin + scratch::kUpdatePiece : range.end;
        runs.push_back({begin, end, range.master_begin + skipped, range.moment_begin + skipped, range.decay});
      }
    return runs;
  }
};

template <typename T>
struct AddBody {
  static constexpr int kWidth = kWidest<T, float>;
  float* sum;
  const T* x;
  template <int N>
  __device__ void at(std::int64_t, std::int64_t i) const {
    auto values = load<N>(sum + i);
    const auto more = load<N>(x + i);
    for (int k = 0; k < N; ++k) values.at[k] += more.at[k];
    store(sum + i, values);
  }
};

template <typename T>
__global__ void __launch_bounds__(kThreads) run_squares(const T* g, const Range* runs, double* parts) {
  const Range run = runs[blockIdx.x];
  double sum = 0;
  for (std::int64_t i = run.begin + threadIdx.x; i < run.end; i += blockDim.x) {
    const auto value = static_cast<double>(to_float(g[i]));
    sum += value * value;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads) sum_of_parts(const double* parts, std::int64_t count, double* out) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) sum += parts[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *out = sum;
}

__device__ __forceinline__ double slot(const double* state, ir::StateSlot which) {
  return state[static_cast<int>(which)];
}
__device__ __forceinline__ bool is_finite(double x) {
  return x - x == 0.0;
}

/// The numbers of an update that are known beforehand.
struct Rule {
  double beta1, beta2, weight_decay, max_norm, ema_decay;
  float epsilon;
  bool ema_warmup;

  explicit Rule(const ir::AdamW& op)
      : beta1(op.beta1),
        beta2(op.beta2),
        weight_decay(op.weight_decay),
        max_norm(op.max_norm),
        ema_decay(op.ema_decay),
        epsilon(op.epsilon),
        ema_warmup(op.ema_warmup) {}
};

/// Those that are equal for all parameters in one update.
struct Rates {
  float gradient;  ///< factor that removes the loss scale and clips; 0 where nothing is to be changed
  float step;      ///< lr / (1 - beta1^k)
  float root;      ///< 1 / sqrt(1 - beta2^k)
  float decay;     ///< 1 - lr * weight_decay
  float average;   ///< 1 - d of the EMA
};

__device__ Rates rates_of(const Rule& rule, double lr, double norm, const double* state) {
  const double k = slot(state, ir::StateSlot::Applied) + 1;
  const double seen = slot(state, ir::StateSlot::EmaCount);
  const double clip = rule.max_norm > 0 ? fmin(1.0, rule.max_norm / (norm + 1e-6)) : 1.0;
  const double ema = rule.ema_warmup ? fmin(rule.ema_decay, (1 + seen) / (10 + seen)) : rule.ema_decay;
  return {static_cast<float>(clip / slot(state, ir::StateSlot::LossScale)),
          static_cast<float>(lr / (1 - pow(rule.beta1, k))),
          static_cast<float>(1 / sqrt(1 - pow(rule.beta2, k))),
          static_cast<float>(1 - lr * rule.weight_decay),
          static_cast<float>(1 - ema)};
}

template <typename G, typename W>
struct Update {
  const float* lr;
  const double* sum_squares;
  const double* state;
  const G* gradient;
  float* master;
  float* first;
  float* second;
  W* weights;  ///< null: master is what the kernels read
  float* ema;  ///< null: none
  const Range* runs;
};

template <int N, typename G, typename W>
__global__ void __launch_bounds__(kThreads) update_kernel(Update<G, W> u, Rule rule) {
  const double norm = sqrt(*u.sum_squares) / slot(u.state, ir::StateSlot::LossScale);
  if (!is_finite(norm)) return;
  auto* shared = shared_memory<Rates>();
  if (threadIdx.x == 0) *shared = rates_of(rule, static_cast<double>(*u.lr), norm, u.state);
  __syncthreads();
  const Rates rates = *shared;
  const auto keep1 = static_cast<float>(rule.beta1);
  const auto keep2 = static_cast<float>(rule.beta2);
  const auto take1 = static_cast<float>(1 - rule.beta1);
  const auto take2 = static_cast<float>(1 - rule.beta2);
  const Range run = u.runs[blockIdx.x];
  const float decay = run.decay ? rates.decay : 1.0F;
  for (std::int64_t i = static_cast<std::int64_t>(threadIdx.x) * N; i < run.end - run.begin;
       i += static_cast<std::int64_t>(blockDim.x) * N) {
    const auto slopes = load<N>(u.gradient + run.begin + i);
    auto own = load<N>(u.master + run.master_begin + i);
    auto first = load<N>(u.first + run.moment_begin + i);
    auto second = load<N>(u.second + run.moment_begin + i);
    for (int k = 0; k < N; ++k) {
      const float slope = rates.gradient * slopes.at[k];
      first.at[k] = keep1 * first.at[k] + take1 * slope;
      second.at[k] = keep2 * second.at[k] + take2 * slope * slope;
      own.at[k] =
          decay * own.at[k] - rates.step * first.at[k] / (sqrtf(second.at[k]) * rates.root + rule.epsilon);
    }
    store(u.master + run.master_begin + i, own);
    store(u.first + run.moment_begin + i, first);
    store(u.second + run.moment_begin + i, second);
    if (u.weights != nullptr) store(u.weights + run.begin + i, own);
    if (u.ema == nullptr) continue;
    auto average = load<N>(u.ema + run.moment_begin + i);
    for (int k = 0; k < N; ++k) average.at[k] += rates.average * (own.at[k] - average.at[k]);
    store(u.ema + run.moment_begin + i, average);
  }
}

__global__ void update_state(const double* sum_squares, double* state, double* metrics, ir::UpdateState op) {
  if (threadIdx.x != 0) return;
  using enum ir::StateSlot;
  const auto at = [&](ir::StateSlot which) -> double& { return state[static_cast<int>(which)]; };
  const double scale = at(LossScale);
  const double norm = sqrt(*sum_squares) / scale;
  const bool finite = is_finite(norm);
  if (finite) {
    at(Applied) += 1;
    at(EmaCount) += 1;
    at(SkippedInRow) = 0;
    at(GoodSteps) += 1;
    if (op.dynamic_scale && at(GoodSteps) >= static_cast<double>(op.growth_interval)) {
      at(LossScale) = 2 * scale;
      at(GoodSteps) = 0;
    }
  } else {
    at(Skipped) += 1;
    at(SkippedInRow) += 1;
    at(GoodSteps) = 0;
    if (op.dynamic_scale) at(LossScale) = fmax(1.0, scale / 2);
  }
  metrics[0] = norm;
  metrics[1] = finite ? 1 : 0;
  metrics[2] = scale;
  metrics[3] = at(Applied);
}

__global__ void read_state(const double* state, ir::ReadState op, float* out) {
  if (threadIdx.x == 0) *out = static_cast<float>(slot(state, op.slot) * static_cast<double>(op.factor));
}

}  // namespace

KernelPtr make_kernel(const ir::Accumulate&, const NodeTypes& types, Site& site) {
  const ir::Type& x = types.inputs[1];
  return with_float(x.dtype, [&]<typename T>(T) -> KernelPtr {
    return own_kernel([count = stored_elements(x), stream = site.stream()](const KernelArgs& args) {
      const AddBody<T> body{args.in_out<float>(0), args.in<T>(1)};
      each(1, count, count % body.kWidth == 0 && aligned({body.sum, body.x}), stream, body);
    });
  });
}

KernelPtr make_kernel(const ir::SumSquares& op, const NodeTypes& types, Site& site) {
  return with_float(types.inputs[0].dtype, [&]<typename T>(T) -> KernelPtr {
    return own_kernel([runs = Runs(op.ranges, site), stream = site.stream()](const KernelArgs& args) {
      auto* parts = static_cast<double*>(args.workspace);
      launch(run_squares<T>, runs.grid(), stream, args.in<T>(0), runs.data(), parts);
      launch(sum_of_parts, {dim3(1), dim3(kThreads), kThreads * sizeof(double)}, stream, parts, runs.count,
             args.out<double>(0));
    });
  });
}

KernelPtr make_kernel(const ir::AdamW& op, const NodeTypes& types, Site& site) {
  const bool has_weights = op.has_weights;
  const std::size_t ema = has_weights ? 8 : 7;
  return with_float(types.inputs[3].dtype, [&]<typename G>(G) {
    return with_float(has_weights ? types.inputs[7].dtype : DType::F32, [&]<typename W>(W) -> KernelPtr {
      return own_kernel([=, has_ema = op.has_ema, rule = Rule(op), runs = Runs(op.ranges, site),
                         stream = site.stream()](const KernelArgs& args) {
        const Update<G, W> u{args.in<float>(0),
                             args.in<double>(1),
                             args.in<double>(2),
                             args.in<G>(3),
                             args.in_out<float>(4),
                             args.in_out<float>(5),
                             args.in_out<float>(6),
                             has_weights ? args.in_out<W>(7) : nullptr,
                             has_ema ? args.in_out<float>(ema) : nullptr,
                             runs.data()};
        const bool wide = runs.fours && aligned({u.gradient, u.master, u.first, u.second, u.weights, u.ema});
        with_width<4>(wide, [&](auto width) {
          launch(update_kernel<decltype(width)::value, G, W>, runs.grid(), stream, u, rule);
        });
      });
    });
  });
}

KernelPtr make_kernel(const ir::UpdateState& op, const NodeTypes&, Site& site) {
  return own_kernel([op, stream = site.stream()](const KernelArgs& args) {
    launch(update_state, {dim3(1), dim3(32)}, stream, args.in<double>(0), args.in_out<double>(1), args.out<double>(0),
           op);
  });
}

KernelPtr make_kernel(const ir::ReadState& op, const NodeTypes&, Site& site) {
  return own_kernel([op, stream = site.stream()](const KernelArgs& args) {
    launch(read_state, {dim3(1), dim3(32)}, stream, args.in<double>(0), op, args.out<float>(0));
  });
}

}  // namespace ldmpi::backend::cuda
