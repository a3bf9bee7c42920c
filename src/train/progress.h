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

/// What one line shows. What is unset is left out.
struct ProgressValues {
  std::int64_t step = 0;
  double samples_per_second = 0.0;
  double loss = 0.0;
  double lr = 0.0;
  std::optional<double> eta_seconds{};
  std::optional<double> tflops{};             ///< of one device
  std::optional<double> peak_share{};         ///< 0 .. 1
  std::optional<double> data_share{};         ///< of the time, spent in waiting for data
  std::optional<double> communicate_share{};  ///< of the time, spent in waiting for other ranks
};

/// "step 120/2000  eta 3m 12s  loss 0.1234  81.3 samples/s  2.31 TFLOP/s (41 %)  lr 1.00e-04  data 2 %  comm 5 %":
/// the most important first, because a terminal may be narrow.
[[nodiscard]] std::string progress_text(const ProgressValues& values, std::int64_t last_step);

/// "12s", "3m 12s", "5h 02m", "2d 03h"
[[nodiscard]] std::string duration_text(double seconds);

/// The pace of the last steps, with everything that came between them.
class Pace {
 public:
  /// Step `step` is done now.
  void add(std::int64_t step);
  /// Seconds from the newest step to `step` at this pace; unknown before the second one.
  [[nodiscard]] std::optional<double> seconds_to(std::int64_t step) const;

 private:
  std::optional<std::int64_t> seen_step_;
  Clock::time_point seen_time_;
  double seconds_per_step_ = 0.0;
};

class Progress {
 public:
  explicit Progress(ProgressOptions options);

  /// Shows a finished step: on a terminal at most ten times a second, elsewhere as a log line for the first step, every
  /// `every`-th and the last.
  void show(const ProgressValues& values);
  /// Ends the line on a terminal, so that what follows stands on its own.
  void end();

 private:
  ProgressOptions options_;
  bool terminal_;
  bool painted_ = false;
  Clock::time_point paint_time_;
};

}  // namespace ldmpi::train
