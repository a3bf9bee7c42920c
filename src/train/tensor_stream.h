#pragma once
// Tensors between the arenas and whatever is outside, one block at a time: no rank ever holds a copy of a whole arena.

#include <functional>
#include <initializer_list>
#include <span>

#include "backend/kernel.h"
#include "exec/program_set.h"
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

/// Who can say the values of tensors.
enum class Origin : std::uint8_t { EveryRank, Rank0 };

/// Writes the values of a tensor into the span, row-major.
using TensorSource = std::function<void(const nn::ParameterEntry& entry, std::span<float> values)>;
/// Gets a tensor, with the function that writes its values.
using TensorSink = std::function<void(const nn::ParameterEntry& entry, const std::function<void(std::span<float>)>&)>;

/// Fills parameter arenas of all ranks with the same tensors: all of them if `arenas` names the weights, else the
/// trainable ones. Arenas that the programs do not have are left out. Collective for Origin::Rank0, and `source` is
/// asked there only.
void write_tensors(const StateAccess& access, std::initializer_list<ir::Arena> arenas, Origin origin,
                   const TensorSource& source);

/// Shows the tensors of an arena to `sink` on rank 0, in the order of ParameterIo::block_order. With `frozen_too`
/// frozen ones follow, out of the weights. Collective where the arena is sharded; elsewhere the other ranks do nothing.
void read_tensors(const StateAccess& access, ir::Arena arena, bool frozen_too, const TensorSink& sink);

/// Where the trained weights are exact: the fp32 master, or the weights where they are fp32 themselves.
[[nodiscard]] ir::Arena trained_arena(const exec::ProgramSet& programs);

/// Host bytes that any of this, or writing a checkpoint, holds at most at a time: one tensor and one block or bucket.
[[nodiscard]] std::int64_t staging_bytes(const ParameterIo& parameters);

}  // namespace ldmpi::train
