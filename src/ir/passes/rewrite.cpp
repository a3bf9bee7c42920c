#include "ir/passes/rewrite.h"

namespace ldmpi::ir {

Values Rewriter::clone(const Node& node) {
  Values inputs;
  for (auto input : node.inputs) {
    inputs.push_back(map(input));
    LDMPI_CHECK(inputs.back().id >= 0, "{} reads a value that the pass dropped", name_of(node.op));
  }
  target_.set_phase(node.phase);
  return target_.add(node.op, std::move(inputs));
}

void Rewriter::copy(const Node& node) {
  const auto outputs = clone(node);
  for (std::size_t i = 0; i < outputs.size(); ++i) set(node.outputs[i], outputs[i]);
}

Graph Rewriter::finish() && {
  for (const auto& [value, binding] : source_.bindings())
    if (map(value)) target_.bind(map(value), binding);
  for (const auto& [label, value] : source_.outputs())
    if (map(value)) target_.output(label, map(value));
  return std::move(target_);
}

}  // namespace ldmpi::ir
