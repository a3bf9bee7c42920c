#pragma once
// A graph: an append-only list of nodes, so that insertion order is a topological order.

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "ir/op.h"

namespace ldmpi::ir {

struct Node {
  Op op;
  Values inputs;
  Values outputs;
  Phase phase = Phase::Forward;
};

/// Where a value must be stored: a slot of a persistent arena (gradients, outputs).
struct Binding {
  Arena arena = Arena::Gradients;
  int block = 0;
  friend bool operator==(const Binding&, const Binding&) = default;
};

class Graph {
 public:
  /// Appends a node; infers and returns its outputs. Throws Error(Internal) naming op and shapes if they do not fit.
  Values add(Op op, Values inputs);
  /// The single output of an op that has one.
  Value add1(Op op, Values inputs);

  [[nodiscard]] const std::vector<Node>& nodes() const noexcept { return nodes_; }
  /// The reference stays valid while nodes are added.
  [[nodiscard]] const Type& type(Value value) const { return types_.at(static_cast<std::size_t>(value.id)); }
  [[nodiscard]] std::size_t value_count() const noexcept { return types_.size(); }
  /// Index of the node that produces the value.
  [[nodiscard]] int producer(Value value) const { return producers_.at(static_cast<std::size_t>(value.id)); }

  /// Nodes added from now on belong to this phase.
  void set_phase(Phase phase) noexcept { phase_ = phase; }
  [[nodiscard]] Phase phase() const noexcept { return phase_; }

  /// Stores the value in a persistent slot: its producer writes there. Bound values are roots of the graph.
  void bind(Value value, Binding binding);
  [[nodiscard]] const std::map<Value, Binding>& bindings() const noexcept { return bindings_; }

  /// Names a value that the host reads after the step: an output, kept in the Outputs arena.
  void output(const std::string& label, Value value);
  [[nodiscard]] const std::map<std::string, Value>& outputs() const noexcept { return outputs_; }

 private:
  std::vector<Node> nodes_;
  std::deque<Type> types_;  // not a vector: rules hold references to types while they add nodes
  std::vector<int> producers_;
  std::map<Value, Binding> bindings_;
  std::map<std::string, Value> outputs_;
  Phase phase_ = Phase::Forward;
};

}  // namespace ldmpi::ir
