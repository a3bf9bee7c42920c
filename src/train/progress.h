#pragma once
// What people see of a running job: one line that renews itself on a terminal, plain log lines elsewhere.

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"

namespace ldmpi::train {

struct ProgressOptions {
  std::int64_t first_step = 0;   ///< steps done before this job
  std::int64_t last_step = 0;    ///< steps when the run is done
  std::int64_t every = 1;        ///< where there is no terminal: steps between two lines
  std::optional<bool> terminal;  ///< unset: whether stderr is one
};

/// What one line shows.
struct ProgressValues {
  std::int64_t step = 0;
  double samples_per_second = 0.0;
  double loss = 0.0;
  double lr = 0.0;
};

/// "step 120/2000  81.3 samples/s  loss 0.1234  lr 1.00e-04  eta 3m 12s"; `eta_seconds` unset: unknown.
[[nodiscard]] std::string progress_text(const ProgressValues& values, std::int64_t last_step,
                                        std::optional<double> eta_seconds);

/// "12s", "3m 12s", "5h 02m", "2d 03h"
[[nodiscard]] std::string duration_text(double seconds);

class Progress {
 public:
  explicit Progress(ProgressOptions options);

  /// Shows a finished step: on a terminal at most ten times a second, elsewhere as a log line for the first step, every
  /// `every`-th and the last.
  void show(const ProgressValues& values);
  /// Ends the line on a terminal, so that what follows stands on its own.
  void end();

 private:
  /// Seconds to the last step at the pace of the last steps; unknown at the first.
  std::optional<double> eta(std::int64_t step);

  ProgressOptions options_;
  bool terminal_;
  bool painted_ = false;
  std::optional<std::int64_t> seen_step_;
  Clock::time_point seen_time_;
  Clock::time_point paint_time_;
  double seconds_per_step_ = 0.0;
};

}  // namespace ldmpi::train
