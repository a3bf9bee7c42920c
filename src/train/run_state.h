#pragma once
// The training state of a rank between the arenas and checkpoints.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backend/kernel.h"
#include "exec/program_set.h"
#include "train/checkpoint.h"
#include "train/checkpoint_reader.h"
#include "train/parameter_io.h"
#include "train/step_graph.h"

namespace ldmpi::train {

/// What the state consists of, and where it lives. Nothing is owned.
struct StateAccess {
  const StepSpec& spec;
  const ParameterIo& parameters;
  exec::ProgramSet& programs;
  backend::Device& device;
  comm::Communicator& communicator;
};

/// Sets weights, master and average from a flat fp32 copy (storage().total elements), moments and counters to zero.
void set_weights(const StateAccess& access, std::span<const float> flat, double loss_scale);

/// The state arena, by ir::StateSlot.
[[nodiscard]] std::vector<double> read_state_slots(const StateAccess& access);

/// A copy of all state on rank 0 (null elsewhere); collective where the optimizer is sharded. `state` holds the host's
/// scalars; the device's counters are filled in. `texts` are the small files of the checkpoint.
[[nodiscard]] std::shared_ptr<const Snapshot> take_snapshot(const StateAccess& access, TrainState state,
                                                            std::map<std::string, std::string> texts);

/// Loads a checkpoint into the arenas of all ranks. `reader` is needed on rank 0 only. Returns its scalars on all
/// ranks.
[[nodiscard]] TrainState restore(const StateAccess& access, const CheckpointReader* reader);

/// The trained weights and, where there is one, the average as flat fp32 copies on rank 0. Collective.
struct FlatWeights {
  std::vector<float> trained;
  std::vector<float> average;
};
[[nodiscard]] FlatWeights copy_weights(const StateAccess& access);

}  // namespace ldmpi::train
