#pragma once
// The text form of a graph, one node a line: for people, and for the golden files of the tests.

#include <string>

#include "ir/graph.h"

namespace ldmpi::ir {

/// "%7 = group_norm(%5, %w2, %w3) {groups=8, ...} : f32[2,32,16,16], ..." per node, sources named by their labels.
[[nodiscard]] std::string print(const Graph& graph);

}  // namespace ldmpi::ir
