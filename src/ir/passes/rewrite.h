#pragma once
// Passes build a new graph from an old one: the map from old to new values, and the copying of nodes.

#include "ir/graph.h"

namespace ldmpi::ir {

class Rewriter {
 public:
  explicit Rewriter(const Graph& source) : source_(source), map_(source.value_count()) {}

  [[nodiscard]] Graph& target() noexcept { return target_; }
  /// The new value of an old one; no value if it was not copied.
  [[nodiscard]] Value map(Value old) const { return map_.at(static_cast<std::size_t>(old.id)); }
  void set(Value old, Value replacement) { map_.at(static_cast<std::size_t>(old.id)) = replacement; }
  /// Appends the node with mapped inputs and its own phase; returns the new outputs without mapping them.
  Values clone(const Node& node);
  /// clone(), and the outputs are mapped.
  void copy(const Node& node);
  /// The new graph, with the bindings and outputs of the old one whose values still exist.
  [[nodiscard]] Graph finish() &&;

 private:
  const Graph& source_;
  Graph target_;
  Values map_;
};

}  // namespace ldmpi::ir
