#include "plan/alias.h"

namespace ldmpi::plan {
namespace {

using ir::Node;
using ir::Value;

class AliasFinder {
 public:
  AliasFinder(const ir::Graph& graph, const std::vector<NodeFacts>& facts)
      : graph_(graph), facts_(facts), parent_(graph.value_count()), readers_(graph.value_count()) {
    for (std::size_t v = 0; v < parent_.size(); ++v) parent_[v] = {Value{static_cast<std::int32_t>(v)}, 0};
    for (std::size_t n = 0; n < graph.nodes().size(); ++n)
      for (auto input : graph.nodes()[n].inputs) readers_[index(input)].push_back(static_cast<int>(n));
  }

  std::vector<Alias> run() {
    for (const auto& node : graph_.nodes()) alias_views(node);
    for (const auto& node : graph_.nodes())
      if (std::holds_alternative<ir::Concat>(node.op)) place_parts(node);
    for (std::size_t n = 0; n < graph_.nodes().size(); ++n) overwrite(static_cast<int>(n));
    std::vector<Alias> result;
    for (std::size_t v = 0; v < parent_.size(); ++v) result.push_back(resolve(Value{static_cast<std::int32_t>(v)}));
    return result;
  }

 private:
  static std::size_t index(Value v) { return static_cast<std::size_t>(v.id); }
  const Node& producer(Value v) const { return graph_.nodes()[static_cast<std::size_t>(graph_.producer(v))]; }

  Alias resolve(Value v) const {
    Alias alias{v, 0};
    while (parent_[index(alias.root)].root != alias.root) {
      alias.column += parent_[index(alias.root)].column;
      alias.root = parent_[index(alias.root)].root;
    }
    return alias;
  }

  void alias_views(const Node& node) {
    if (std::holds_alternative<ir::Reshape>(node.op)) parent_[index(node.outputs[0])] = {node.inputs[0], 0};
    if (std::holds_alternative<ir::Split>(node.op)) {
      std::int64_t column = 0;
      for (auto output : node.outputs) {
        parent_[index(output)] = {node.inputs[0], column};
        column += graph_.type(output).columns();
      }
    }
  }

  // Values whose storage is that of `root`: it and all views of it.
  std::vector<Value> family(Value root) const {
    std::vector<Value> members{root};
    for (std::size_t i = 0; i < members.size(); ++i)
      for (int reader : readers_[index(members[i])]) {
        const auto& node = graph_.nodes()[static_cast<std::size_t>(reader)];
        if (std::holds_alternative<ir::Reshape>(node.op) || std::holds_alternative<ir::Split>(node.op))
          for (auto output : node.outputs) members.push_back(output);
      }
    return members;
  }

  bool accepts_pitch(Value root) const {
    const auto& source = producer(root);
    if (ir::is_source(source.op) || !facts_[static_cast<std::size_t>(graph_.producer(root))].pitched_outputs)
      return false;
    if (graph_.type(root).layout != ir::Layout::Rows) return false;
    for (auto member : family(root)) {
      if (graph_.bindings().contains(member)) return false;
      for (const auto& [label, value] : graph_.outputs())
        if (value == member) return false;
      for (int reader : readers_[index(member)]) {
        const auto& node = graph_.nodes()[static_cast<std::size_t>(reader)];
        const auto* reshape = std::get_if<ir::Reshape>(&node.op);
        if (reshape != nullptr) {  // a view with other columns needs dense rows
          if (graph_.type(node.outputs[0]).columns() != graph_.type(member).columns()) return false;
        } else if (!std::holds_alternative<ir::Split>(node.op) &&
                   !facts_[static_cast<std::size_t>(reader)].pitched_inputs) {
          return false;
        }
      }
    }
    return true;
  }

  void place_parts(const Node& concat) {
    const auto output = concat.outputs[0];
    std::int64_t column = 0;
    for (auto input : concat.inputs) {
      const auto alias = resolve(input);
      const bool whole = alias.column == 0 && graph_.type(alias.root).columns() == graph_.type(input).columns();
      if (whole && alias.root != resolve(output).root && parent_[index(alias.root)].root == alias.root &&
          accepts_pitch(alias.root))
        parent_[index(alias.root)] = {output, column};
      column += graph_.type(input).columns();
    }
  }

  // Output 0 takes input 0's bytes where input 0 is a dense activation of its own that nobody reads later.
  void overwrite(int n) {
    const auto& node = graph_.nodes()[static_cast<std::size_t>(n)];
    if (!facts_[static_cast<std::size_t>(n)].overwrites_first || node.inputs.empty()) return;
    const auto input = node.inputs[0];
    const auto output = node.outputs[0];
    const auto root = resolve(input);
    if (parent_[index(output)].root != output || graph_.bindings().contains(output) || root.column != 0) return;
    for (const auto& [label, value] : graph_.outputs())
      if (value == output) return;
    if (!(graph_.type(root.root) == graph_.type(input)) || !(graph_.type(input) == graph_.type(output))) return;
    if (ir::is_source(producer(root.root).op) || graph_.bindings().contains(root.root)) return;
    for (std::size_t v = 0; v < parent_.size(); ++v) {  // every value in the same bytes must be dead behind this node
      const Value value{static_cast<std::int32_t>(v)};
      if (resolve(value).root != root.root) continue;
      if (graph_.producer(value) > n || graph_.bindings().contains(value)) return;
      for (int reader : readers_[v])
        if (reader > n) return;
      for (const auto& [label, named] : graph_.outputs())
        if (named == value) return;
    }
    int uses = 0;
    for (auto other : node.inputs) uses += resolve(other).root == root.root ? 1 : 0;
    if (uses == 1) parent_[index(output)] = {root.root, 0};
  }

  const ir::Graph& graph_;
  const std::vector<NodeFacts>& facts_;
  std::vector<Alias> parent_;
  std::vector<std::vector<int>> readers_;
};

}  // namespace

std::vector<Alias> find_aliases(const ir::Graph& graph, const std::vector<NodeFacts>& facts) {
  return AliasFinder(graph, facts).run();
}

}  // namespace ldmpi::plan
