#pragma once
// Memory bounds of a CUDA device by formula: `plan` answers for a GPU on a machine that has none, and no plugin either.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "backend/kernel.h"

namespace ldmpi::backend {

/// Targets "cuda" and "cuda:NAME" for a100, h100, h200, b200, rtx4090. What each op is given: cuda_answers.h. Weights of
/// convolutions are stored [O,k,k,I] with channels padded to multiples of 8. Throws Error(BadConfig) for other targets.
[[nodiscard]] std::unique_ptr<Lowering> make_formula_lowering(const std::string& target);

/// Memory of the GPU that a target names, as its driver reports it; nothing for "cuda", the CPU and other words.
[[nodiscard]] std::optional<std::int64_t> device_bytes(std::string_view target);

}  // namespace ldmpi::backend
