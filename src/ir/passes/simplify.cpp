#include <array>
#include <map>
#include <string>

#include "ir/passes/passes.h"
#include "ir/passes/rewrite.h"

namespace ldmpi::ir {
namespace {

// Collectives have to be equal on all ranks and marks are read by the host: neither is ever dropped or merged.
bool is_fixed(const Node& node) {
  return !writes_of(node.op).empty() || node.outputs.empty() || std::holds_alternative<WaitCollective>(node.op) ||
         std::holds_alternative<SumRanks>(node.op);
}

// The persistent arena that a value lies in, itself or as a view; -1 for a value of its own.
int arena_of(const Graph& graph, Value value) {
  const auto* node = &graph.nodes()[static_cast<std::size_t>(graph.producer(value))];
  while (std::holds_alternative<Reshape>(node->op) || std::holds_alternative<Split>(node->op))
    node = &graph.nodes()[static_cast<std::size_t>(graph.producer(node->inputs[0]))];
  const auto* persistent = std::get_if<Persistent>(&node->op);
  return persistent == nullptr ? -1 : static_cast<int>(persistent->arena);
}

}  // namespace

Graph merge_equal(const Graph& graph) {
  Rewriter rewriter(graph);
  // How often an arena was written so far. One handle may be the whole of it and another a block: they count together.
  std::array<int, kArenas> version{};
  std::multimap<std::string, std::size_t> seen;
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const auto& node = graph.nodes()[n];
    for (int i : writes_of(node.op))
      if (const int arena = arena_of(graph, node.inputs[static_cast<std::size_t>(i)]); arena >= 0)
        ++version[static_cast<std::size_t>(arena)];
    // Two gradients may be equal (of biases that are added), but each is stored in a slot of its own.
    bool bound = false;
    for (auto output : node.outputs)
      if (const auto it = graph.bindings().find(output); it != graph.bindings().end()) {
        bound = true;
        ++version[static_cast<std::size_t>(it->second.arena)];
      }
    if (is_fixed(node) || bound) {
      rewriter.copy(node);
      continue;
    }
    std::string key{name_of(node.op)};
    for (auto input : node.inputs) {
      const int arena = arena_of(graph, input);
      key += fmt::format(" {}.{}", rewriter.map(input).id, arena < 0 ? 0 : version[static_cast<std::size_t>(arena)]);
    }
    const Node* equal = nullptr;
    for (auto [it, end] = seen.equal_range(key); it != end && equal == nullptr; ++it)
      if (graph.nodes()[it->second].op == node.op) equal = &graph.nodes()[it->second];
    if (equal == nullptr) {
      seen.emplace(std::move(key), n);
      rewriter.copy(node);
    } else {
      for (std::size_t i = 0; i < node.outputs.size(); ++i)
        rewriter.set(node.outputs[i], rewriter.map(equal->outputs[i]));
    }
  }
  return std::move(rewriter).finish();
}

Graph remove_dead(const Graph& graph) {
  std::vector<bool> live(graph.value_count(), false);
  for (const auto& [value, binding] : graph.bindings()) live[static_cast<std::size_t>(value.id)] = true;
  for (const auto& [label, value] : graph.outputs()) live[static_cast<std::size_t>(value.id)] = true;
  std::vector<bool> kept(graph.nodes().size(), false);
  for (std::size_t n = graph.nodes().size(); n-- > 0;) {
    const auto& node = graph.nodes()[n];
    bool keep = is_fixed(node);
    for (auto output : node.outputs) keep = keep || live[static_cast<std::size_t>(output.id)];
    if (!keep) continue;
    kept[n] = true;
    for (auto input : node.inputs) live[static_cast<std::size_t>(input.id)] = true;
  }
  Rewriter rewriter(graph);
  for (std::size_t n = 0; n < graph.nodes().size(); ++n)
    if (kept[n]) rewriter.copy(graph.nodes()[n]);
  return std::move(rewriter).finish();
}

}  // namespace ldmpi::ir
