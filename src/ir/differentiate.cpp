#include "ir/differentiate.h"

#include <algorithm>

namespace ldmpi::ir {
namespace {

// Which values depend on a target: only their adjoints are worth computing.
std::vector<bool> depends_on(const Graph& graph, std::span<const Value> targets) {
  std::vector<bool> depends(graph.value_count(), false);
  for (auto target : targets) depends[static_cast<std::size_t>(target.id)] = true;
  for (const auto& node : graph.nodes()) {
    const bool any = std::any_of(node.inputs.begin(), node.inputs.end(),
                                 [&](Value v) { return depends[static_cast<std::size_t>(v.id)]; });
    if (any)
      for (auto output : node.outputs) depends[static_cast<std::size_t>(output.id)] = true;
  }
  return depends;
}

Values node_gradient(const Op& op, GradientScope& scope) {
  return std::visit(
      [&](const auto& o) -> Values {
        if constexpr (NotDifferentiable<std::decay_t<decltype(o)>>) {
          LDMPI_CHECK(false, "{} is not differentiable, but a gradient has to pass through it", o.name);
        } else {
          return gradient(o, scope);
        }
      },
      op);
}

}  // namespace

Values differentiate(Graph& graph, Value loss, Value seed, std::span<const Value> targets) {
  Builder build(graph);
  const auto depends = depends_on(graph, targets);
  const auto last = graph.nodes().size();
  Values adjoints(graph.value_count());
  adjoints[static_cast<std::size_t>(loss.id)] = seed;

  graph.set_phase(Phase::Backward);
  for (std::size_t n = last; n-- > 0;) {
    const Node node = graph.nodes()[n];  // a copy: appending nodes moves the list
    Values output_adjoints;
    bool reached = false;
    for (auto output : node.outputs) {
      output_adjoints.push_back(adjoints[static_cast<std::size_t>(output.id)]);
      reached = reached || output_adjoints.back();
    }
    std::vector<bool> needed;
    bool wanted = false;
    for (auto input : node.inputs) {
      needed.push_back(depends[static_cast<std::size_t>(input.id)]);
      wanted = wanted || needed.back();
    }
    if (!reached || !wanted) continue;

    GradientScope scope(build, node, std::move(output_adjoints), needed);
    const auto gradients = node_gradient(node.op, scope);
    LDMPI_CHECK(gradients.size() <= node.inputs.size(), "the gradient of {} has too many values", name_of(node.op));
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (!gradients[i] || !needed[i]) continue;
      auto& sum = adjoints[static_cast<std::size_t>(node.inputs[i].id)];
      sum = sum ? build.add(sum, gradients[i]) : gradients[i];
    }
  }
  Values result;
  for (auto target : targets) result.push_back(adjoints[static_cast<std::size_t>(target.id)]);
  return result;
}

}  // namespace ldmpi::ir
