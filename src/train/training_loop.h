#pragma once
// What happens at the steps of a training run: one optimizer step, its record, validation, saving.

#include <memory>
#include <optional>

#include "comm/communicator.h"
#include "config/config.h"
#include "data/batch_reader.h"
#include "train/checkpoint_writer.h"
#include "train/draw_log.h"
#include "train/job.h"
#include "train/learning_rate.h"
#include "train/metrics.h"
#include "train/rank_probe.h"
#include "train/run_lock.h"
#include "train/run_samples.h"
#include "train/run_state.h"

namespace ldmpi::train {

/// What rank 0 alone holds: the record of the run and its checkpoints. All null elsewhere.
struct Record {
  std::unique_ptr<RunLock> lock;
  std::unique_ptr<CheckpointReader> newest;  ///< until its state is loaded
  std::unique_ptr<CheckpointWriter> writer;
  std::unique_ptr<Metrics> metrics;
};

/// All functions are collective. Nothing of the constructor's arguments is owned.
class TrainingLoop {
 public:
  /// `config` is resolved, the job bound to the device; `state` is what its arenas hold.
  TrainingLoop(const config::TrainConfig& config, Job& job, const StateAccess& access, Record& record,
               TrainState state);

  [[nodiscard]] const TrainState& state() const { return state_; }

  /// One optimizer step. Returns whether all ranks were asked to stop behind it. Errors: AgreedError(Numerical).
  [[nodiscard]] bool step();
  /// Writes the record of the step.
  void report();
  /// Hands the state to the writer of rank 0.
  void save();
  /// The validation loss, into log and record.
  void validate();
  /// Draws the pictures of the step.
  void draw_samples();
  /// RUN/final.
  void write_final();

 private:
  void report_ranks();
  void write_step_inputs(int program);
  [[nodiscard]] bool read_results(int program);

  const config::TrainConfig& config_;
  Job& job_;
  StateAccess access_;
  comm::Communicator& communicator_;
  Record& record_;
  TrainState state_;
  std::int64_t skipped_;  // in the whole run
  std::vector<double> flops_;  // of one run of each program
  RankProbe probe_;
  LearningRate rate_;
  data::BatchReader reader_;
  std::optional<DrawLog> draws_;
  std::optional<RunSamples> samples_;
  StepTotals interval_;  // since the last line of the record
  StepTotals of_rank_;   // since the ranks were asked
  double loss_ = 0;
  double norm_ = 0;
  double scale_ = 1;
  int skipped_in_row_ = 0;
};

}  // namespace ldmpi::train
