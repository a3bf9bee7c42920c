#include "ir/graph.h"

namespace ldmpi::ir {

Values Graph::add(Op op, Values inputs) {
  Types input_types;
  input_types.reserve(inputs.size());
  for (auto input : inputs) {
    LDMPI_CHECK(input.id >= 0 && static_cast<std::size_t>(input.id) < types_.size(),
                "{} is given a value that is not of this graph", name_of(op));
    input_types.push_back(type(input));
  }
  const Types output_types = std::visit([&](const auto& o) { return infer(o, input_types); }, op);
  Values outputs;
  for (const auto& output : output_types) {
    outputs.push_back({static_cast<std::int32_t>(types_.size())});
    types_.push_back(output);
    producers_.push_back(static_cast<int>(nodes_.size()));
  }
  nodes_.push_back({std::move(op), std::move(inputs), outputs, phase_});
  return outputs;
}

Value Graph::add1(Op op, Values inputs) {
  const auto outputs = add(std::move(op), std::move(inputs));
  LDMPI_CHECK(outputs.size() == 1, "{} has {} outputs, one was expected", name_of(nodes_.back().op), outputs.size());
  return outputs.front();
}

void Graph::bind(Value value, Binding binding) {
  LDMPI_CHECK(bindings_.emplace(value, binding).second, "value {} is bound twice", value.id);
}

void Graph::output(const std::string& label, Value value) {
  LDMPI_CHECK(outputs_.emplace(label, value).second, "there are two outputs named {}", label);
}

}  // namespace ldmpi::ir
