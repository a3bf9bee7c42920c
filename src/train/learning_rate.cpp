#include "train/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ldmpi::train {

double LearningRate::at(std::int64_t step) const {
  if (step <= warmup_steps) return base * static_cast<double>(step) / static_cast<double>(warmup_steps);
  const auto span = static_cast<double>(std::max<std::int64_t>(total_steps - warmup_steps, 1));
  const double f = std::clamp(static_cast<double>(step - 1 - warmup_steps) / span, 0.0, 1.0);
  switch (schedule) {
    case config::LrSchedule::Constant: return base;
    case config::LrSchedule::Linear: return base * (1.0 - f);
    case config::LrSchedule::Cosine: return base * 0.5 * (1.0 + std::cos(std::numbers::pi * f));
  }
  return base;
}

}  // namespace ldmpi::train
