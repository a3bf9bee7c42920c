#pragma once
// The plan as text: schedule with offsets, and what the peak consists of.

#include <string>

#include "plan/plan.h"

namespace ldmpi::plan {

/// One line per node: number, phase, op, places of inputs and outputs, bytes alive.
[[nodiscard]] std::string print_schedule(const ir::Graph& graph, const Plan& plan);

/// Bytes needed, lower bound, loss to fragmentation, and the `count` largest values alive at the peak.
[[nodiscard]] std::string print_peak(const ir::Graph& graph, const Plan& plan, int count);

/// "12.3 MiB"
[[nodiscard]] std::string bytes_text(std::int64_t bytes);

}  // namespace ldmpi::plan
