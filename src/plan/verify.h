#pragma once
// Proof that a plan is safe: nothing is read before it is written, overwritten while alive, or touched in flight.

#include <string>
#include <vector>

#include "plan/plan.h"

namespace ldmpi::plan {

/// Checks by happens-before (node order, and start to wait for collectives):
///  - no two slices alive at the same node overlap, none leaves the arena;
///  - every value is read behind its producer, and its bytes, as its place says, are written by no other node between
///    its write and its last read; nor are they those of a workspace, or of another operand of the same node but
///    where the kernel may overwrite its first input;
///  - a persistent run in flight (from start to wait) is not touched by any other node;
///  - nobody reads the result of a collective, or persistent memory that one writes, before the wait.
/// Returns the violations, empty if the plan is safe.
[[nodiscard]] std::vector<std::string> verify(const ir::Graph& graph, const Plan& plan, const PlanInputs& inputs);

}  // namespace ldmpi::plan
