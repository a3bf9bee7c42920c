#include "plan/verify.h"

#include <algorithm>
#include <utility>

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
  const auto bytes =
      place.pitch == 0 ? stored_bytes(type, inputs) : ((type.rows() - 1) * place.pitch + type.columns()) * size;
  return {place.arena, place.offset, place.offset + bytes};
}

struct InFlight {
  int sequence;
  Bytes bytes;
};

bool is_view(const ir::Op& op) {
  return std::holds_alternative<ir::Reshape>(op) || std::holds_alternative<ir::Split>(op);
}

// Follows every value from its write to its last read through the places alone: what the slices say is not trusted.
class Lifetimes {
 public:
  Lifetimes(const ir::Graph& graph, const Plan& plan, const PlanInputs& inputs, std::vector<std::string>& faults)
      : graph_(graph), plan_(plan), inputs_(inputs), faults_(faults), last_read_(graph.value_count(), -1) {
    const auto end = static_cast<int>(graph.nodes().size());
    for (int n = 0; n < end; ++n)
      for (auto input : graph.nodes()[static_cast<std::size_t>(n)].inputs) last_read_[index(input)] = n;
    for (const auto& [label, value] : graph.outputs()) last_read_[index(value)] = end;
    for (const auto& [value, binding] : graph.bindings()) last_read_[index(value)] = end;
  }

  void check() {
    for (std::size_t n = 0; n < graph_.nodes().size(); ++n) {
      const auto& node = graph_.nodes()[n];
      if (ir::is_source(node.op)) continue;
      if (!is_view(node.op))
        check_writes(static_cast<int>(n));
      else
        check_view(node);
      std::erase_if(live_, [&](ir::Value v) { return last_read_[index(v)] <= static_cast<int>(n); });
      for (auto output : node.outputs)
        if (last_read_[index(output)] > static_cast<int>(n)) live_.push_back(output);
    }
  }

 private:
  static std::size_t index(ir::Value v) { return static_cast<std::size_t>(v.id); }
  const Place& place(ir::Value v) const { return plan_.places[index(v)]; }
  std::int64_t size(ir::Value v) const { return static_cast<std::int64_t>(size_of(graph_.type(v).dtype)); }

  ir::Value base(ir::Value v) const {
    for (;;) {
      const auto& node = graph_.nodes()[static_cast<std::size_t>(graph_.producer(v))];
      if (!is_view(node.op)) return v;
      v = node.inputs[0];
    }
  }

  // Rows of one pitch may lie side by side: then the columns decide.
  bool overlap(ir::Value a, ir::Value b) const {
    const auto x = extent(graph_, plan_, inputs_, a);
    const auto y = extent(graph_, plan_, inputs_, b);
    if (!x.overlaps(y)) return false;
    const auto pitch = place(a).pitch * size(a);
    if (pitch == 0 || pitch != place(b).pitch * size(b)) return true;
    const auto distance = ((y.begin - x.begin) % pitch + pitch) % pitch;
    return distance < graph_.type(a).columns() * size(a) || distance + graph_.type(b).columns() * size(b) > pitch;
  }

  void fault(int n, std::string_view what) {
    faults_.push_back(fmt::format("node {} ({}) {}", n, name_of(graph_.nodes()[static_cast<std::size_t>(n)].op), what));
  }

  // The input of a concatenation that lies in its output where it belongs: written there already.
  bool in_place(const ir::Node& concat, ir::Value value) const {
    if (!std::holds_alternative<ir::Concat>(concat.op)) return false;
    const auto output = concat.outputs[0];
    const auto& whole = place(output);
    std::int64_t column = 0;
    for (auto input : concat.inputs) {
      const auto& part = place(input);
      if (base(input) == base(value) && part.arena == whole.arena &&
          part.offset == whole.offset + column * size(output) &&
          part.pitch == (whole.pitch != 0 ? whole.pitch : graph_.type(output).columns()))
        return true;
      column += graph_.type(input).columns();
    }
    return false;
  }

  void check_writes(int n) {
    const auto& node = graph_.nodes()[static_cast<std::size_t>(n)];
    const auto& facts = inputs_.facts[static_cast<std::size_t>(n)];
    for (std::size_t o = 0; o < node.outputs.size(); ++o) {
      const auto output = node.outputs[o];
      const auto bytes = extent(graph_, plan_, inputs_, output);
      if (bytes.arena == ir::Arena::Activations && (bytes.begin < 0 || bytes.end > plan_.activation_bytes))
        fault(n, fmt::format("writes value {} outside the activation arena", output.id));
      for (auto value : live_)
        if (last_read_[index(value)] > n && overlap(output, value) && !in_place(node, value))
          fault(n, fmt::format("overwrites value {} before node {} reads it", value.id, last_read_[index(value)]));
      for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const auto input = node.inputs[i];
        const bool allowed =
            (o == 0 && i == 0 && facts.overwrites_first && place(input) == place(output)) || in_place(node, input);
        if (!allowed && overlap(output, input))
          fault(n, fmt::format("writes value {} over its input {}", output.id, input.id));
      }
      for (std::size_t p = 0; p < o; ++p)
        if (overlap(output, node.outputs[p])) fault(n, "writes two results into the same bytes");
    }
    check_workspace(n);
  }

  void check_workspace(int n) {
    const auto bytes = inputs_.facts[static_cast<std::size_t>(n)].workspace_bytes;
    if (bytes == 0) return;
    const auto begin = plan_.workspace[static_cast<std::size_t>(n)];
    const Bytes workspace{ir::Arena::Activations, begin, begin + bytes};
    if (begin < 0 || workspace.end > plan_.activation_bytes) fault(n, "has no workspace in the activation arena");
    const auto& node = graph_.nodes()[static_cast<std::size_t>(n)];
    for (const ir::Values* values : {&node.inputs, &node.outputs, &std::as_const(live_)})
      for (auto value : *values)
        if (workspace.overlaps(extent(graph_, plan_, inputs_, value)))
          fault(n, fmt::format("has its workspace over value {}", value.id));
  }

  void check_view(const ir::Node& node) {
    const auto& source = place(node.inputs[0]);
    std::int64_t column = 0;
    for (auto output : node.outputs) {
      if (place(output).arena != source.arena || place(output).offset != source.offset + column * size(output))
        fault(graph_.producer(output), fmt::format("names bytes that are not those of value {}", node.inputs[0].id));
      if (std::holds_alternative<ir::Split>(node.op)) column += graph_.type(output).columns();
    }
  }

  const ir::Graph& graph_;
  const Plan& plan_;
  const PlanInputs& inputs_;
  std::vector<std::string>& faults_;
  std::vector<int> last_read_;  // by value: the last node that reads it, all nodes' number for what outlives the step
  ir::Values live_;             // written, and read behind the current node
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
        faults.push_back(
            fmt::format("values {} and {} are alive together in the same bytes", a.root.id, sorted[j].root.id));
  }
  Lifetimes(graph, plan, inputs, faults).check();

  std::vector<InFlight> flying;
  for (std::size_t n = 0; n < nodes.size(); ++n) {
    const auto& node = nodes[n];
    for (auto input : node.inputs)
      if (graph.producer(input) >= static_cast<int>(n))
        faults.push_back(
            fmt::format("node {} ({}) reads value {} before it is written", n, name_of(node.op), input.id));
    if (const auto* wait = std::get_if<ir::WaitCollective>(&node.op)) {
      std::erase_if(flying, [&](const InFlight& f) { return f.sequence == wait->sequence; });
      continue;
    }
    const auto* start = std::get_if<ir::StartCollective>(&node.op);
    auto check = [&](const Bytes& bytes) {
      for (const auto& f : flying)
        if (f.bytes.overlaps(bytes))
          faults.push_back(
              fmt::format("node {} ({}) touches memory of collective {} in flight", n, name_of(node.op), f.sequence));
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
