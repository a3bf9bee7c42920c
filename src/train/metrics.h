#pragma once
// The record of a run: metrics.jsonl, TensorBoard files, metrics.prom and the progress line, fed by the trainer of
// rank 0. The keys are described in docs/watching.md.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "io/file.h"
#include "io/image.h"
#include "train/progress.h"
#include "train/rank_values.h"
#include "train/step_meter.h"

namespace ldmpi::io {
class EventFileWriter;
}

namespace ldmpi::train {

using NamedValues = std::vector<std::pair<std::string, double>>;

/// One logged step. NaN and infinities are written as null.
struct StepMetrics {
  std::int64_t step = 0;
  double loss = 0.0;
  double lr = 0.0;
  double grad_norm = 0.0;
  double samples_per_second = 0.0;
  StepTotals totals{};  ///< of the steps since the last line
  NamedValues extra{};  ///< further keys, e.g. "loss_scale"
};

/// What a start of the run (the first one, or a resume) is made of.
struct RunFacts {
  std::int64_t first_step = 0;  ///< steps done before
  std::int64_t last_step = 0;   ///< steps when the run is done
  std::int64_t total_batch_size = 0;
  std::vector<std::string> hosts{};  ///< of every rank
  std::string device{};
  std::string job_id{};                           ///< of the batch system; may be empty
  std::int64_t planned_bytes = 0;               ///< memory of a rank by the plan
  std::optional<double> peak_tflops{};            ///< of a device, if known
  std::optional<std::int64_t> job_end_seconds{};  ///< when the batch system ends this job, since 1970
  std::string config{};                         ///< of this start, as RUN/config.cfg
};

/// The newest of everything.
struct PresentState {
  std::string run;  ///< name of the run folder
  std::int64_t step = 0;
  int restarts = 0;
  NamedValues values;                    ///< of the last line of a step
  std::map<std::string, double> events;  ///< values of the last event of each kind, e.g. validation_loss
  std::vector<RankValues> ranks;         ///< by rank; empty before the first event "ranks"
};

struct MetricsOptions {
  std::filesystem::path file;                        ///< RUN/metrics.jsonl
  std::optional<std::filesystem::path> tensorboard;  ///< folder for event files; unset: none
  std::optional<std::filesystem::path> prometheus;   ///< RUN/metrics.prom; unset: none
  std::int64_t restored_step = 0;  ///< step of the checkpoint that the run goes on from, 0 at the start
  ProgressOptions progress;
  double export_seconds = 15;  ///< between two states of the Prometheus file
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

  /// Appends {"event": "start", ...}: what the following steps are made with.
  void start(RunFacts facts);
  /// Appends one line with a single write, adds the TensorBoard scalars ("train/<key>") and shows the step. Warns once
  /// when the run will not end within the time of its job.
  void log(const StepMetrics& metrics);
  /// Appends {"event": name, "step": step, "time": ..., key: value, ...} and the scalars ("<name>/<key>"); e.g.
  /// event("validation", step, {{"validation_loss", x}}), which the report draws.
  void event(std::string_view name, std::int64_t step, const NamedValues& values);
  /// What the ranks say, as the event "ranks": min, median and max of each value, and who has the max.
  void ranks(std::int64_t step, std::vector<RankValues> values);
  /// A picture for the TensorBoard file, with one line of the record.
  void picture(std::string_view name, std::int64_t step, const io::Image& image, const NamedValues& values);
  /// Ends the progress line and hands everything collected to the file system.
  void flush();

  /// How often the run has been resumed, this time included.
  [[nodiscard]] int restarts() const noexcept { return restarts_; }

 private:
  void append(std::string line);
  void warn(std::string_view what);
  void add_scalars(std::string_view group, std::int64_t step, const NamedValues& values);
  void export_state(bool now);
  void check_time_left(std::int64_t step, double eta_seconds);

  MetricsOptions options_;
  RunFacts facts_;
  int restarts_ = 0;
  io::FileDescriptor file_;
  bool torn_ = false;  // the last write was cut short: the next one begins with a line end
  std::unique_ptr<io::EventFileWriter> events_;
  Progress progress_;
  Pace pace_;
  bool told_time_left_ = false;
  std::optional<Clock::time_point> last_warning_;
  std::optional<Clock::time_point> last_export_;
  PresentState present_;
};

}  // namespace ldmpi::train
