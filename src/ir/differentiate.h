#pragma once
// Reverse-mode differentiation as a graph rewrite: appends gradient nodes, and only those that are needed.

#include <span>

#include "ir/builder.h"

namespace ldmpi::ir {

/// What a gradient rule sees: its node's inputs and outputs, the adjoints of the outputs, which inputs matter.
class GradientScope {
 public:
  GradientScope(Builder& b, const Node& node, Values adjoints, std::vector<bool> needed)
      : build(b),
        inputs(node.inputs),
        outputs(node.outputs),
        adjoints_(std::move(adjoints)),
        needed_(std::move(needed)) {}

  Builder& build;
  const Values inputs;
  const Values outputs;

  /// The adjoint of output i; no value if nothing depends on it.
  [[nodiscard]] Value adjoint(std::size_t i = 0) const { return adjoints_.at(i); }
  /// Whether anybody wants the gradient with respect to input i.
  [[nodiscard]] bool needs(std::size_t i) const { return i < needed_.size() && needed_[i]; }
  [[nodiscard]] const Type& type(Value v) const { return build.type(v); }

 private:
  Values adjoints_;
  std::vector<bool> needed_;
};

/// Appends to the graph the gradients of the scalar `loss` (f32 [1]) times `seed` (f32 [1]) with respect to each of
/// `targets`. Returns one value per target in the same order; a target that the loss does not depend on gets none.
/// Throws Error(Internal) if an op on the way is not differentiable.
[[nodiscard]] Values differentiate(Graph& graph, Value loss, Value seed, std::span<const Value> targets);

}  // namespace ldmpi::ir
