#pragma once
// Where a run begins: at its first step or behind a checkpoint, and whether the configuration may go on from there.

#include <memory>

#include "train/job.h"
#include "train/run_folder.h"
#include "train/run_state.h"

namespace ldmpi::train {

/// On the reading rank: opens the newest checkpoint into `newest` and compares configuration and fingerprints with it.
/// Returns the state to begin with. Errors: MissingInput for --resume must without a checkpoint, BadConfig for a change
/// that a resume refuses, with the option that allows it.
[[nodiscard]] TrainState prepare_resume(const config::TrainConfig& config,
                                        const std::map<std::string, std::string>& fingerprints, bool reads,
                                        const RunFolder& folder, std::unique_ptr<CheckpointReader>& newest);

/// A saved state as a run of another precision takes it over: one that begins with fp16 begins with the first loss
/// scale, one that leaves it has the scale 1; otherwise nothing changes. The saved precision stands in state.config.
void adopt_precision(TrainState& state, config::Precision now);

/// Fills the arenas of all ranks from the checkpoint of rank 0, else from the model's weights or initial values.
/// Returns the state on all ranks, with the present configuration.
[[nodiscard]] TrainState load_state(const StateAccess& access, const Job& job, const config::TrainConfig& config,
                                    const CheckpointReader* newest, TrainState fresh);

}  // namespace ldmpi::train
