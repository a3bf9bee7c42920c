#include "plan/report.h"

#include <algorithm>

namespace ldmpi::plan {
namespace {

std::int64_t alive_at(const Plan& plan, int node) {
  std::int64_t sum = 0;
  for (const auto& slice : plan.slices)
    if (slice.first <= node && node <= slice.last) sum += slice.bytes;
  return sum;
}

}  // namespace

std::string bytes_text(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= (std::int64_t{1} << 30)) return fmt::format("{:.2f} GiB", value / 0x1p30);
  if (bytes >= (1 << 20)) return fmt::format("{:.1f} MiB", value / 0x1p20);
  if (bytes >= (1 << 10)) return fmt::format("{:.1f} KiB", value / 0x1p10);
  return fmt::format("{} B", bytes);
}

std::string print_schedule(const ir::Graph& graph, const Plan& plan) {
  std::string text;
  auto place = [&](ir::Value value) {
    const auto& p = plan.places[static_cast<std::size_t>(value.id)];
    auto result = fmt::format("%{}@{}+{}", value.id, name_of(p.arena), p.offset);
    if (p.pitch != 0) result += fmt::format("/{}", p.pitch);
    return result;
  };
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const auto& node = graph.nodes()[n];
    text += fmt::format("{:5} {:11} {:18}", n, name_of(node.phase), name_of(node.op));
    for (auto output : node.outputs) text += " " + place(output);
    text += " <-";
    for (auto input : node.inputs) text += " " + place(input);
    if (plan.workspace[n] >= 0) text += fmt::format(" workspace+{}", plan.workspace[n]);
    text += "\n";
  }
  return text;
}

std::string print_peak(const ir::Graph& graph, const Plan& plan, int count) {
  int peak_node = 0;
  std::int64_t peak = -1;
  for (const auto& slice : plan.slices) {
    const auto alive = alive_at(plan, slice.first);
    if (alive > peak) {
      peak = alive;
      peak_node = slice.first;
    }
  }
  const auto lost = plan.activation_bytes - plan.lower_bound;
  auto text = fmt::format(
      "activations {} (at least {}; {:.2f} % lost to fragmentation)\n", bytes_text(plan.activation_bytes),
      bytes_text(plan.lower_bound),
      plan.lower_bound == 0 ? 0.0 : 100.0 * static_cast<double>(lost) / static_cast<double>(plan.lower_bound));
  if (plan.slices.empty()) return text;
  std::vector<Slice> alive;
  for (const auto& slice : plan.slices)
    if (slice.first <= peak_node && peak_node <= slice.last) alive.push_back(slice);
  std::stable_sort(alive.begin(), alive.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  text += fmt::format("largest values alive at the peak (node {}, {}):\n", peak_node,
                      peak_node < static_cast<int>(graph.nodes().size())
                          ? name_of(graph.nodes()[static_cast<std::size_t>(peak_node)].op)
                          : "end");
  for (std::size_t i = 0; i < std::min(alive.size(), static_cast<std::size_t>(count)); ++i) {
    const auto& slice = alive[i];
    text += fmt::format(
        "  {:>10}  {}\n", bytes_text(slice.bytes),
        slice.root ? fmt::format("%{} = {} {}", slice.root.id,
                                 name_of(graph.nodes()[static_cast<std::size_t>(graph.producer(slice.root))].op),
                                 graph.type(slice.root).text())
                   : std::string("workspace"));
  }
  return text;
}

}  // namespace ldmpi::plan
