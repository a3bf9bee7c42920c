#pragma once
// The learning rate as a pure function of the configuration and the optimizer step.

#include <cstdint>

#include "config/config.h"

namespace ldmpi::train {

/// Steps count from 1, the first optimizer step, to `total_steps`.
struct LearningRate {
  config::LrSchedule schedule = config::LrSchedule::Constant;
  double base = 1e-4;             ///< rate after the warm-up
  std::int64_t warmup_steps = 0;  ///< grows as base * step / warmup_steps up to and including step warmup_steps
  std::int64_t total_steps = 1;

  /// After the warm-up, with f = (step - 1 - warmup_steps) / (total_steps - warmup_steps) clamped to [0, 1]:
  /// constant: base; linear: base (1 - f); cosine: base (1 + cos(pi f)) / 2. So step warmup_steps + 1 has the full rate
  /// and the step after the last one would have 0.
  [[nodiscard]] double at(std::int64_t step) const;
};

}  // namespace ldmpi::train
