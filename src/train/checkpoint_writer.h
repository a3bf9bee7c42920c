#pragma once
// Saves snapshots in the background while training goes on. Only rank 0 has one.

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "train/checkpoint.h"

namespace ldmpi::train {

struct CheckpointWriterOptions {
  std::filesystem::path checkpoints;  ///< RUN/checkpoints, exists
  int keep = 2;                       ///< newest checkpoints that stay, at least 1
  std::string job_id;                 ///< part of temporary names; may be empty
  std::function<bool()> owns_run;     ///< RunLock::owned; asked right before a checkpoint gets its name
};

/// At most one save is in flight. A save that fails is logged loudly and training goes on with the older checkpoint;
/// the third failure in a row, or the loss of the run folder to another job, is thrown by the next call of poll or
/// submit.
class CheckpointWriter {
 public:
  static constexpr int kMaxFailures = 3;

  /// Removes what killed jobs left behind and writes a 1 MiB probe.
  /// Errors: CannotCreate, NoPermission if the folder cannot be written.
  explicit CheckpointWriter(CheckpointWriterOptions options);
  /// Waits for a save in flight.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Begins to save; waits first for a save in flight. Errors: as poll.
  void submit(std::shared_ptr<const Snapshot> snapshot);
  /// True while a save is in flight; a caller that must not wait skips its save then.
  [[nodiscard]] bool busy() const;
  /// Throws Error(IoError) after kMaxFailures failed saves in a row, Error(CannotCreate) if another job owns the run.
  void poll();
  /// Waits for a save in flight. Errors: as poll.
  void wait();
  /// Waits, and throws the error of the last save if it failed, even once: for the last checkpoint of a run.
  void finish();

  /// Step of the newest checkpoint that this object has completed.
  [[nodiscard]] std::optional<std::int64_t> last_saved_step() const;
  /// Message of the last save if it failed.
  [[nodiscard]] std::optional<std::string> last_error() const;
  /// Seconds that the last save took, from submit to durable.
  [[nodiscard]] double last_seconds() const;

 private:
  void run(const std::stop_token& stop);
  void save(const Snapshot& snapshot);
  void finish_save(std::int64_t step, std::optional<std::string> message);  // mutex_ held
  void throw_if_failed() const;                                             // mutex_ held

  CheckpointWriterOptions options_;
  mutable std::mutex mutex_;
  mutable std::condition_variable_any changed_;
  std::shared_ptr<const Snapshot> pending_;  // set while a save is in flight
  int failures_ = 0;
  bool lost_run_ = false;
  std::optional<std::string> message_;
  std::optional<std::int64_t> saved_step_;
  double seconds_ = 0.0;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace ldmpi::train
