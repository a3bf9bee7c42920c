#pragma once
// Which values share memory by construction: views, column slices, and the parts of a concatenation.

#include <vector>

#include "plan/plan.h"

namespace ldmpi::plan {

/// A value lies in the storage of `root`, `column` elements into each row, with the root's pitch.
struct Alias {
  ir::Value root;
  std::int64_t column = 0;
};

/// By value id. A root is its own alias with column 0. Inputs of a Concat become slices of its output where the
/// producer and every reader accept a pitch; an output takes the place of a dying first input where the kernel may.
[[nodiscard]] std::vector<Alias> find_aliases(const ir::Graph& graph, const std::vector<NodeFacts>& facts);

}  // namespace ldmpi::plan
