#pragma once
// The training state of a rank between the arenas and checkpoints.

#include <map>
#include <string>
#include <vector>

#include "train/checkpoint_reader.h"
#include "train/checkpoint_writer.h"
#include "train/tensor_stream.h"

namespace ldmpi::train {

/// Sets weights, master and average, and the loss scale with all counters zero. The moments stay as they were bound:
/// zero. Collective for Origin::Rank0.
void begin_state(const StateAccess& access, Origin origin, const TensorSource& source, double loss_scale);

/// The state arena, by ir::StateSlot.
[[nodiscard]] std::vector<double> read_state_slots(const StateAccess& access);

/// Hands the state to the writer of rank 0 (`writer` is null elsewhere) tensor by tensor; the writer completes the
/// checkpoint in the background. When it returns, the state may change. Collective. `state` holds the host's scalars;
/// the device's counters are filled in. `texts` are the small files of the checkpoint. Errors: of
/// CheckpointWriter::submit.
void save_state(const StateAccess& access, CheckpointWriter* writer, TrainState state,
                std::map<std::string, std::string> texts);

/// Loads tensors and counters into the arenas of all ranks. `reader` is needed on rank 0 only, `state` on all.
void restore_state(const StateAccess& access, const CheckpointReader* reader, const TrainState& state);

}  // namespace ldmpi::train
