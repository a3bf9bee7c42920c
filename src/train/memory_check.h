#pragma once
// Does a run fit? Asked before the first byte of an arena is allocated, over all ranks of each host.

#include <functional>
#include <string>

#include "backend/kernel.h"
#include "comm/communicator.h"
#include "config/config.h"
#include "exec/program_set.h"
#include "train/parameter_io.h"

namespace ldmpi::train {

/// What a rank takes of the memory that its arenas are in: if that is the host's, the staging of its state too.
[[nodiscard]] std::int64_t rank_bytes(const exec::ProgramSet& programs, const ParameterIo& parameters, bool on_host);

/// Compares the planned bytes of all ranks with the free memory of their hosts, or devices. If somewhere it is too
/// little, throws AgreedError(NoDevice) on all ranks: where, what is needed, what is free, and `advice(bytes)` of rank
/// 0 for the bytes that one rank could have there. Collective.
void check_memory(const backend::Device& device, comm::Communicator& communicator, std::int64_t planned_bytes,
                  const std::function<std::string(std::int64_t)>& advice);

/// The largest batch_size with which the job fits into `bytes` of a rank, and the accumulation that keeps its
/// total_batch_size, as a sentence of advice. `config` is resolved.
[[nodiscard]] std::string batch_advice(const config::TrainConfig& config, const backend::Lowering& lowering, int ranks,
                                       bool on_host, std::int64_t bytes);

}  // namespace ldmpi::train
