#pragma once
// The training job of one rank: from a settled configuration to RUN/final.

#include "backend/kernel.h"
#include "comm/communicator.h"
#include "comm/environment.h"
#include "config/parse.h"

namespace ldmpi::train {

/// Where the steps run, and how their collectives travel.
struct Machine {
  const backend::Lowering& lowering;
  backend::Device& device;
  comm::Collectives& collectives;
};

/// Trains, resuming where the run folder has a checkpoint. `config` is resolved (config/resolve.h). Returns the exit
/// code for orderly ends (Done, Requeue); throws Error for all others. Collective: every rank calls it.
[[nodiscard]] Exit train(config::TrainConfig config, const comm::Environment& environment,
                         comm::Communicator& communicator, const Machine& machine);

}  // namespace ldmpi::train
