#pragma once
// The record of a run: metrics.jsonl, TensorBoard scalars beside it, and what people see while it runs. Rank 0 only.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "io/file.h"
#include "train/progress.h"

namespace ldmpi::io {
class EventFileWriter;
}

namespace ldmpi::train {

/// One logged step. NaN and infinities are written as null.
struct StepMetrics {
  std::int64_t step = 0;
  double loss = 0.0;
  double lr = 0.0;
  double grad_norm = 0.0;
  double samples_per_second = 0.0;
  double data_wait_ms = 0.0;
  std::vector<std::pair<std::string, double>> extra;  ///< further keys, e.g. "loss_scale", "validation_loss"
};

struct MetricsOptions {
  std::filesystem::path file;                        ///< RUN/metrics.jsonl
  std::optional<std::filesystem::path> tensorboard;  ///< folder for event files; unset: none
  std::int64_t restored_step = 0;  ///< step of the checkpoint that the run goes on from, 0 at the start
  ProgressOptions progress;
};

/// A sink that fails (full disk) never stops training: the record is dropped with at most one warning a minute.
class Metrics {
 public:
  /// Where the file exists already, removes the lines after `restored_step` (it is rewritten atomically) and appends
  /// {"restart": n, "step": restored_step, "time": ...}. Errors: CannotCreate, NoPermission.
  explicit Metrics(MetricsOptions options);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  /// Appends one line with a single write, adds the TensorBoard scalars ("train/<key>") and shows the step.
  void log(const StepMetrics& metrics);
  /// Appends {"event": name, "step": step, "time": ..., key: value, ...} and the scalars ("<name>/<key>"); e.g.
  /// event("validation", step, {{"validation_loss", x}}), which the report draws.
  void event(std::string_view name, std::int64_t step, const std::vector<std::pair<std::string, double>>& values);
  /// Ends the progress line and hands the event file's records to the file system.
  void flush();

  /// How often the run has been resumed, this time included.
  [[nodiscard]] int restarts() const noexcept { return restarts_; }

 private:
  void append(std::string line);
  void warn(std::string_view what);
  void add_scalars(std::string_view group, std::int64_t step,
                   const std::vector<std::pair<std::string, double>>& values);

  MetricsOptions options_;
  int restarts_ = 0;
  io::FileDescriptor file_;
  bool torn_ = false;  // the last write was cut short: the next one begins with a line end
  std::unique_ptr<io::EventFileWriter> events_;
  Progress progress_;
  std::optional<Clock::time_point> last_warning_;
};

}  // namespace ldmpi::train
