#pragma once
// What the options leave open is settled here, once the number of ranks and the device are known.

#include <cstdint>
#include <optional>
#include <string>

#include "config/config.h"
#include "config/parse.h"

namespace ldmpi::config {

/// total_batch_size = num_gpus x batch_size x accumulation, all four settled.
struct Batch {
  std::int64_t ranks = 1, batch_size = 1, accumulation = 1, total = 1;
  /// "total_batch_size 16 = num_gpus 2 x batch_size 8 x accumulation 1"
  [[nodiscard]] std::string equation() const;
};

/// Solves the equation for what is not given: total alone gives accumulation 1; total and batch_size give
/// accumulation; nothing gives batch_size 1. Throws Error(BadConfig) on a remainder or an inconsistency, with the rank
/// counts that would do.
[[nodiscard]] Batch resolve_batch(std::optional<std::int64_t> batch_size, std::optional<std::int64_t> total,
                                  std::optional<std::int64_t> accumulation, std::int64_t ranks);

/// auto becomes cuda where it is usable, else cpu.
[[nodiscard]] Device resolve_device(Device asked, bool cuda_usable);
/// auto becomes fp32 on the CPU and bf16 on CUDA. Throws Error(BadConfig) for tf32 on the CPU.
[[nodiscard]] Precision resolve_precision(Precision asked, Device device);

/// Settles num_gpus, the batch, device, precision, learning rate, warm-up, EMA and the communicator. Afterwards those
/// optionals hold values and those Autos are decided (the objective stays: the model's files say it).
/// Returns the keys it settled with the reason, to be merged over ParsedCommand::sources for printing.
/// Throws Error(BadConfig), e.g. when num_gpus is not `ranks`.
[[nodiscard]] Sources resolve(TrainConfig& config, std::int64_t ranks, bool cuda_usable);

}  // namespace ldmpi::config
