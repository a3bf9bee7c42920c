#pragma once
// Arithmetic of a graph, counted exactly from the shapes: a multiply-add is two operations.

#include <cstdint>

#include "ir/graph.h"

namespace ldmpi::plan {

/// Operations of one node. Matrix products, convolutions and attention by their formulas (attention backward: its five
/// products); every other op counts one operation per element read.
[[nodiscard]] std::int64_t node_flops(const ir::Graph& graph, const ir::Node& node);

/// Sum over the matrix products, convolutions and attention of a phase: what "FLOP" means in figures of speed.
[[nodiscard]] std::int64_t graph_flops(const ir::Graph& graph, ir::Phase phase);

}  // namespace ldmpi::plan
