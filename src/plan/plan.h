#pragma once
// The memory plan of one program, as data: the place of every value, when it is alive, and what the peak consists of.

#include <functional>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace ldmpi::plan {

/// Bytes: every value and every arena begins at a multiple of it, a cache line.
inline constexpr std::int64_t kAlignment = 64;

/// What the backend says about a node (backend::NodeAnswer).
struct NodeFacts {
  std::int64_t workspace_bytes = 0;
  bool pitched_inputs = false;
  bool pitched_outputs = false;
  bool overwrites_first = false;
};

/// Address of a value: bytes from the start of its arena, elements from row to row (0: dense).
struct Place {
  ir::Arena arena = ir::Arena::Activations;
  std::int64_t offset = 0;
  std::int64_t pitch = 0;
  friend bool operator==(const Place&, const Place&) = default;
};

/// A run of bytes of the activation arena, occupied from the run of node `first` to that of node `last`, both included.
struct Slice {
  std::int64_t bytes = 0;
  int first = 0;
  int last = 0;
  std::int64_t offset = 0;
  ir::Value root;  ///< the value that owns it; none: the workspace of node `first`
};

struct Plan {
  std::vector<Place> places;            ///< by value id
  std::vector<std::int64_t> workspace;  ///< by node: offset in the activation arena, or -1
  std::vector<Slice> slices;
  std::int64_t activation_bytes = 0;
  std::int64_t lower_bound = 0;  ///< the largest sum of bytes alive at one node: no placement can need less
};

/// What planning needs from outside the graph.
struct PlanInputs {
  std::vector<NodeFacts> facts;  ///< by node
  /// The place of values that are not activations: inputs, constants, persistent memory, bound values.
  std::function<Place(const ir::Node& source)> source_place;
  std::function<Place(const ir::Binding&)> bound_place;
  /// Stored elements of a value with the layout of a parameter.
  std::function<std::int64_t(const Shape&)> parameter_elements;
};

/// Plans order, lifetime and place of every value. The order is that of the graph.
[[nodiscard]] Plan make_plan(const ir::Graph& graph, const PlanInputs& inputs);

/// Bytes that a dense value of this type takes.
[[nodiscard]] std::int64_t stored_bytes(const ir::Type& type, const PlanInputs& inputs);

}  // namespace ldmpi::plan
