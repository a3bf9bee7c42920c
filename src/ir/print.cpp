#include "ir/print.h"

namespace ldmpi::ir {

std::string print(const Graph& graph) {
  std::string text;
  auto list = [](const Values& values) {
    std::string result;
    for (auto value : values) result += fmt::format("{}%{}", result.empty() ? "" : ", ", value.id);
    return result;
  };
  Phase phase = Phase::Data;
  bool first = true;
  for (const auto& node : graph.nodes()) {
    if (first || node.phase != phase) text += fmt::format("# {}\n", name_of(node.phase));
    first = false;
    phase = node.phase;
    if (!node.outputs.empty()) text += list(node.outputs) + " = ";
    text += fmt::format("{}({})", name_of(node.op), list(node.inputs));
    if (const auto attributes = attributes_of(node.op); !attributes.empty()) text += " " + attributes;
    std::string types;
    for (auto output : node.outputs) types += (types.empty() ? " : " : ", ") + graph.type(output).text();
    text += types + "\n";
  }
  for (const auto& [value, binding] : graph.bindings())
    text += fmt::format("bind %{} -> {}[{}]\n", value.id, name_of(binding.arena), binding.block);
  for (const auto& [label, value] : graph.outputs()) text += fmt::format("output {} = %{}\n", label, value.id);
  return text;
}

}  // namespace ldmpi::ir
