#include <algorithm>
#include <cmath>

#include "reference.h"

namespace ldmpi::test::naive {
namespace {

double& slot(Array& state, ir::StateSlot which) {
  return state[static_cast<std::size_t>(which)];
}

double norm_of(const Array& sum_squares, Array& state) {
  return std::sqrt(sum_squares[0]) / slot(state, ir::StateSlot::LossScale);
}

}  // namespace

Outputs compute(const ir::Accumulate&, const Tensors& inputs, const ir::Types&) {
  Array sum = inputs[0].values;
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += inputs[1].values[i];
  return {{}, sum};
}

Outputs compute(const ir::SumSquares& op, const Tensors& inputs, const ir::Types&) {
  double sum = 0;
  for (const auto& range : op.ranges)
    for (auto i = range.begin; i < range.end; ++i) sum += std::pow(inputs[0].values[static_cast<std::size_t>(i)], 2);
  return {{sum}};
}

Outputs compute(const ir::AdamW& op, const Tensors& inputs, const ir::Types&) {
  Array state = inputs[2].values;
  Outputs result{{}};
  for (std::size_t i = 4; i < inputs.size(); ++i) result.push_back(inputs[i].values);
  const double norm = norm_of(inputs[1].values, state);
  if (!std::isfinite(norm)) return result;
  const double lr = inputs[0].values[0];
  const double b1 = double{op.beta1};
  const double b2 = double{op.beta2};
  const double k = slot(state, ir::StateSlot::Applied) + 1;
  const double seen = slot(state, ir::StateSlot::EmaCount);
  const double clip = op.max_norm > 0 ? std::min(1.0, double{op.max_norm} / (norm + 1e-6)) : 1;
  const double d = op.ema_warmup ? std::min(double{op.ema_decay}, (1 + seen) / (10 + seen)) : double{op.ema_decay};
  for (const auto& range : op.ranges)
    for (std::int64_t j = 0; j < range.end - range.begin; ++j) {
      const auto i = static_cast<std::size_t>(range.begin + j);
      const auto moment = static_cast<std::size_t>(range.moment_begin + j);
      const double g = inputs[3].values[i] / slot(state, ir::StateSlot::LossScale) * clip;
      double& p = result[1][static_cast<std::size_t>(range.master_begin + j)];
      double& m = result[2][moment];
      double& v = result[3][moment];
      m = b1 * m + (1 - b1) * g;
      v = b2 * v + (1 - b2) * g * g;
      if (range.decay) p *= 1 - lr * double{op.weight_decay};
      p -= lr / (1 - std::pow(b1, k)) * m / (std::sqrt(v / (1 - std::pow(b2, k))) + double{op.epsilon});
      if (op.has_weights) result[4][i] = p;
      if (op.has_ema) {
        double& ema = result[op.has_weights ? 5 : 4][moment];
        ema += (1 - d) * (p - ema);
      }
    }
  return result;
}

Outputs compute(const ir::UpdateState& op, const Tensors& inputs, const ir::Types&) {
  using enum ir::StateSlot;
  Array state = inputs[1].values;
  const double scale = slot(state, LossScale);
  const double norm = norm_of(inputs[0].values, state);
  if (std::isfinite(norm)) {
    slot(state, Applied) += 1;
    slot(state, EmaCount) += 1;
    slot(state, SkippedInRow) = 0;
    slot(state, GoodSteps) += 1;
    if (op.dynamic_scale && slot(state, GoodSteps) == static_cast<double>(op.growth_interval)) {
      slot(state, LossScale) *= 2;
      slot(state, GoodSteps) = 0;
    }
  } else {
    slot(state, Skipped) += 1;
    slot(state, SkippedInRow) += 1;
    slot(state, GoodSteps) = 0;
    if (op.dynamic_scale) slot(state, LossScale) = std::max(1.0, scale / 2);
  }
  return {{norm, std::isfinite(norm) ? 1.0 : 0.0, scale, slot(state, Applied)}, state};
}

Outputs compute(const ir::ReadState& op, const Tensors& inputs, const ir::Types&) {
  return {{inputs[0].values[static_cast<std::size_t>(op.slot)] * double{op.factor}}};
}

}  // namespace ldmpi::test::naive
