#pragma once
// Which forward results are computed a second time instead of being kept, given a budget for activations.

#include <set>

#include "backend/kernel.h"
#include "train/step_graph.h"

namespace ldmpi::train {

/// Nodes of differentiated_step() to recompute so that the activation arena fits into `budget_bytes`: first those that
/// cost the fewest operations per byte freed. Empty for a budget of 0 (off) or one that is met anyway; if the budget
/// cannot be met, the choice that needs the least memory, with a warning.
[[nodiscard]] std::set<int> choose_recompute(const StepSpec& spec, Role role, const LossBuilder& loss,
                                             const backend::Lowering& lowering, std::int64_t budget_bytes);

}  // namespace ldmpi::train
