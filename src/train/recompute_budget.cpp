#include "train/recompute_budget.h"

#include <algorithm>

#include "base/log.h"
#include "exec/program_set.h"
#include "ir/passes/passes.h"
#include "plan/cost.h"
#include "plan/report.h"

namespace ldmpi::train {
namespace {

std::int64_t activation_bytes(const StepSpec& spec, const backend::Lowering& lowering, ir::Graph graph) {
  exec::ProgramSet set(lowering, *spec.storage);
  (void)set.add("budget", std::move(graph));
  set.compile();
  return set.arena_bytes()[static_cast<std::size_t>(ir::Arena::Activations)];
}

// Forward nodes whose results the backward pass reads, cheapest per freed byte first.
std::vector<int> candidates(const ir::Graph& graph) {
  std::set<int> read;
  for (const auto& node : graph.nodes())
    if (node.phase == ir::Phase::Backward)
      for (auto input : node.inputs) read.insert(graph.producer(input));
  std::vector<std::pair<double, int>> scored;
  for (int n : read) {
    const auto& node = graph.nodes()[static_cast<std::size_t>(n)];
    if (!ir::may_recompute(node)) continue;
    double bytes = 0;
    for (auto output : node.outputs) bytes += static_cast<double>(graph.type(output).bytes());
    scored.emplace_back(static_cast<double>(plan::node_flops(graph, node)) / std::max(bytes, 1.0), n);
  }
  std::stable_sort(scored.begin(), scored.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<int> order;
  for (const auto& [score, n] : scored) order.push_back(n);
  return order;
}

}  // namespace

std::set<int> choose_recompute(const StepSpec& spec, Role role, const LossBuilder& loss,
                               const backend::Lowering& lowering, std::int64_t budget_bytes) {
  if (budget_bytes <= 0) return {};
  const auto graph = differentiated_step(spec, role, loss);
  auto bytes_with = [&](const std::set<int>& chosen) {
    return activation_bytes(spec, lowering, chosen.empty() ? graph : ir::recompute(graph, chosen));
  };
  const auto all = bytes_with({});
  if (all <= budget_bytes) return {};
  const auto order = candidates(graph);
  auto prefix = [&](std::size_t count) {
    return std::set<int>(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count));
  };
  // The shortest prefix that fits, by bisection; the peak need not fall with every step, so the best seen is kept.
  std::set<int> best;
  std::int64_t least = all;
  std::size_t low = 1;
  std::size_t high = order.size();
  bool fits = false;
  while (low <= high) {
    const auto middle = (low + high) / 2;
    auto chosen = prefix(middle);
    const auto bytes = bytes_with(chosen);
    if (bytes <= budget_bytes) {
      fits = true;
      best = std::move(chosen);
      least = bytes;
      high = middle - 1;
    } else {
      if (!fits && bytes < least) {
        least = bytes;
        best = std::move(chosen);
      }
      low = middle + 1;
    }
  }
  if (!fits)
    log::warning("model.recompute_mib: activations need at least {}, more than the budget of {}",
                 plan::bytes_text(least), plan::bytes_text(budget_bytes));
  else
    log::info("recomputing {} of {} results: activations {} instead of {}", best.size(), order.size(),
              plan::bytes_text(least), plan::bytes_text(all));
  return best;
}

}  // namespace ldmpi::train
