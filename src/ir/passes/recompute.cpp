#include <functional>

#include "ir/passes/passes.h"
#include "ir/passes/rewrite.h"

namespace ldmpi::ir {

bool may_recompute(const Node& node) {
  if (node.phase != Phase::Forward || !writes_of(node.op).empty()) return false;
  return std::visit(
      [](const auto& op) {
        using O = std::decay_t<decltype(op)>;
        return !NotDifferentiable<O> && !std::same_as<O, WeightedMse> && !std::same_as<O, FromCanonical>;
      },
      node.op);
}

Graph recompute(const Graph& graph, const std::set<int>& chosen) {
  Rewriter rewriter(graph);
  std::set<int> again;
  // A clone reads what is there at that point: kept values, or clones of other chosen nodes, made first.
  const std::function<void(Value)> provide = [&](Value value) {
    const int producer = graph.producer(value);
    if (!chosen.contains(producer) || !again.insert(producer).second) return;
    Node node = graph.nodes()[static_cast<std::size_t>(producer)];
    for (auto input : node.inputs) provide(input);
    node.phase = Phase::Backward;
    rewriter.copy(node);
  };
  for (const auto& node : graph.nodes()) {
    if (node.phase == Phase::Backward)
      for (auto input : node.inputs) provide(input);
    rewriter.copy(node);
  }
  return std::move(rewriter).finish();
}

}  // namespace ldmpi::ir
