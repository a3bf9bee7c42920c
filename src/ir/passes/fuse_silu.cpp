#include "ir/passes/passes.h"
#include "ir/passes/rewrite.h"

namespace ldmpi::ir {

Graph fuse_silu(const Graph& graph) {
  std::vector<int> uses(graph.value_count(), 0);
  for (const auto& node : graph.nodes())
    for (auto input : node.inputs) ++uses[static_cast<std::size_t>(input.id)];
  for (const auto& [label, value] : graph.outputs()) ++uses[static_cast<std::size_t>(value.id)];

  std::set<int> fused;  // indices of the norms whose only reader is a silu
  for (const auto& node : graph.nodes()) {
    const auto* unary = std::get_if<Unary>(&node.op);
    if (unary == nullptr || unary->fn != UnaryFn::Silu) continue;
    const int producer = graph.producer(node.inputs[0]);
    const auto& norm = graph.nodes()[static_cast<std::size_t>(producer)];
    const auto* op = std::get_if<GroupNorm>(&norm.op);
    if (op != nullptr && !op->silu && norm.outputs[0] == node.inputs[0] && !graph.bindings().contains(node.inputs[0]) &&
        uses[static_cast<std::size_t>(node.inputs[0].id)] == 1)
      fused.insert(producer);
  }

  Rewriter rewriter(graph);
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    Node node = graph.nodes()[n];
    if (fused.contains(static_cast<int>(n))) {
      std::get<GroupNorm>(node.op).silu = true;
      rewriter.copy(node);
    } else if (std::holds_alternative<Unary>(node.op) && fused.contains(graph.producer(node.inputs[0])) &&
               graph.nodes()[static_cast<std::size_t>(graph.producer(node.inputs[0]))].outputs[0] == node.inputs[0]) {
      rewriter.set(node.outputs[0], rewriter.map(node.inputs[0]));
    } else {
      rewriter.copy(node);
    }
  }
  return std::move(rewriter).finish();
}

}  // namespace ldmpi::ir
