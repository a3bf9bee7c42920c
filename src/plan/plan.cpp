#include "plan/plan.h"

#include <algorithm>

#include "plan/alias.h"
#include "plan/place.h"

namespace ldmpi::plan {
namespace {

std::int64_t round_up(std::int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

std::int64_t stored_bytes(const ir::Type& type, const PlanInputs& inputs) {
  const auto elements = type.layout == ir::Layout::Parameter ? inputs.parameter_elements(type.shape) : type.count();
  return elements * static_cast<std::int64_t>(size_of(type.dtype));
}

Plan make_plan(const ir::Graph& graph, const PlanInputs& inputs) {
  const auto& nodes = graph.nodes();
  LDMPI_CHECK(inputs.facts.size() == nodes.size(), "the plan needs one fact per node");
  const auto aliases = find_aliases(graph, inputs.facts);
  Plan plan;
  plan.places.resize(graph.value_count());
  plan.workspace.assign(nodes.size(), -1);

  // Roots in persistent memory have their place; the others get a slice from their first to their last use.
  std::vector<int> slice_of(graph.value_count(), -1);
  std::vector<bool> fixed(graph.value_count(), false);
  std::map<std::int32_t, ir::Binding> bound;
  for (const auto& [value, binding] : graph.bindings()) {
    const auto& alias = aliases[static_cast<std::size_t>(value.id)];
    LDMPI_CHECK(
        alias.column == 0 && stored_bytes(graph.type(alias.root), inputs) == stored_bytes(graph.type(value), inputs),
        "value {} is bound to persistent memory but is a part of value {}", value.id, alias.root.id);
    LDMPI_CHECK(bound.emplace(alias.root.id, binding).second, "two bindings for the storage of value {}",
                alias.root.id);
  }
  auto touch = [&](ir::Value value, int node) {
    const auto root = aliases[static_cast<std::size_t>(value.id)].root;
    const auto r = static_cast<std::size_t>(root.id);
    if (fixed[r]) return;
    if (slice_of[r] < 0) {
      slice_of[r] = static_cast<int>(plan.slices.size());
      plan.slices.push_back(
          {round_up(std::max<std::int64_t>(stored_bytes(graph.type(root), inputs), 1)), node, node, 0, root});
    }
    plan.slices[static_cast<std::size_t>(slice_of[r])].last = node;
  };
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (ir::is_source(nodes[n].op)) {
      const auto v = static_cast<std::size_t>(nodes[n].outputs[0].id);
      fixed[v] = true;
      plan.places[v] = inputs.source_place(nodes[n]);
    }
  }
  for (const auto& [root, binding] : bound) {
    LDMPI_CHECK(!fixed[static_cast<std::size_t>(root)], "value {} is persistent already and cannot be bound", root);
    fixed[static_cast<std::size_t>(root)] = true;
    plan.places[static_cast<std::size_t>(root)] = inputs.bound_place(binding);
  }
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    if (ir::is_source(nodes[n].op)) continue;
    for (auto input : nodes[n].inputs) touch(input, static_cast<int>(n));
    for (auto output : nodes[n].outputs) touch(output, static_cast<int>(n));
  }
  for (const auto& [label, value] : graph.outputs()) touch(value, static_cast<int>(nodes.size()));
  for (std::size_t n = 0; n < nodes.size(); ++n)
    if (inputs.facts[n].workspace_bytes > 0) {
      const auto at = static_cast<int>(n);
      plan.slices.push_back({round_up(inputs.facts[n].workspace_bytes), at, at, 0, {}});
    }

  plan.activation_bytes = place_slices(plan.slices);
  plan.lower_bound = peak_live_bytes(plan.slices);
  for (const auto& slice : plan.slices) {
    if (slice.root)
      plan.places[static_cast<std::size_t>(slice.root.id)] = {ir::Arena::Activations, slice.offset, 0};
    else
      plan.workspace[static_cast<std::size_t>(slice.first)] = slice.offset;
  }
  for (std::size_t v = 0; v < aliases.size(); ++v) {
    const auto& alias = aliases[v];
    if (alias.root.id == static_cast<std::int32_t>(v)) continue;
    const auto& root = graph.type(alias.root);
    auto place = plan.places[static_cast<std::size_t>(alias.root.id)];
    place.offset += alias.column * static_cast<std::int64_t>(size_of(root.dtype));
    const auto& own = graph.type(ir::Value{static_cast<std::int32_t>(v)});
    // A view with other columns keeps the bytes dense; a slice of columns has the rows of its root.
    const bool sliced = alias.column != 0 || (own.rows() == root.rows() && own.columns() != root.columns());
    place.pitch = sliced ? root.columns() : 0;
    plan.places[v] = place;
  }
  return plan;
}

}  // namespace ldmpi::plan
