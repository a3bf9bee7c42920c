#include "plan/verify.h"

#include <algorithm>

namespace ldmpi::plan {
namespace {

struct Bytes {
  ir::Arena arena;
  std::int64_t begin;
  std::int64_t end;
  [[nodiscard]] bool overlaps(const Bytes& other) const {
    return arena == other.arena && begin < other.end && other.begin < end;
  }
};

// First to last byte of a value at its place.
Bytes extent(const ir::Graph& graph, const Plan& plan, const PlanInputs& inputs, ir::Value value) {
  const auto& type = graph.type(value);
  const auto& place = plan.places[static_cast<std::size_t>(value.id)];
  const auto size = static_cast<std::int64_t>(size_of(type.dtype));
  const auto bytes = place.pitch == 0 ? stored_bytes(type, inputs)
                                      : ((type.rows() - 1) * place.pitch + type.columns()) * size;
  return {place.arena, place.offset, place.offset + bytes};
}

struct InFlight {
  int sequence;
  Bytes bytes;
};

}  // namespace

std::vector<std::string> verify(const ir::Graph& graph, const Plan& plan, const PlanInputs& inputs) {
  std::vector<std::string> faults;
  const auto& nodes = graph.nodes();

  // Slices, swept by offset: compare each with those that begin before it ends.
  auto sorted = plan.slices;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const auto& a = sorted[i];
    if (a.offset < 0 || a.offset + a.bytes > plan.activation_bytes)
      faults.push_back(fmt::format("the slice of value {} leaves the activation arena", a.root.id));
    for (std::size_t j = i + 1; j < sorted.size() && sorted[j].offset < a.offset + a.bytes; ++j)
      if (sorted[j].first <= a.last && a.first <= sorted[j].last)
        faults.push_back(fmt::format("values {} and {} are alive together in the same bytes", a.root.id, sorted[j].root.id));
  }
  std::vector<InFlight> flying;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    const auto& node = nodes[n];
    for (auto input : node.inputs)
      if (graph.producer(input) >= static_cast<int>(n))
        faults.push_back(fmt::format("node {} ({}) reads value {} before it is written", n, name_of(node.op), input.id));
    if (const auto* wait = std::get_if<ir::WaitCollective>(&node.op)) {
      std::erase_if(flying, [&](const InFlight& f) { return f.sequence == wait->sequence; });
      continue;
    }
    const auto* start = std::get_if<ir::StartCollective>(&node.op);
    auto check = [&](const Bytes& bytes) {
      for (const auto& f : flying)
        if (f.bytes.overlaps(bytes))
          faults.push_back(fmt::format("node {} ({}) touches memory of collective {} in flight", n, name_of(node.op), f.sequence));
    };
    if (start != nullptr) {
      auto bytes = extent(graph, plan, inputs, node.inputs[0]);
      const auto size = static_cast<std::int64_t>(size_of(graph.type(node.inputs[0]).dtype));
      bytes = {bytes.arena, bytes.begin + start->begin * size, bytes.begin + start->end * size};
      check(bytes);
      flying.push_back({start->sequence, bytes});
      continue;
    }
    if (std::holds_alternative<ir::Persistent>(node.op)) continue;  // a handle, not an access
    for (auto input : node.inputs) check(extent(graph, plan, inputs, input));
    for (auto output : node.outputs) check(extent(graph, plan, inputs, output));
  }
  for (const auto& f : flying) faults.push_back(fmt::format("collective {} is never waited for", f.sequence));
  return faults;
}

}  // namespace ldmpi::plan
