#include <algorithm>

#include "ir/passes/passes.h"
#include "ir/passes/rewrite.h"

namespace ldmpi::ir {

Bucketed start_collectives(const Graph& graph, Value arena, CollectiveKind kind,
                           const std::vector<GradientBucket>& buckets) {
  // Starts have one order on all ranks: a bucket waits for those before it.
  std::vector<std::size_t> ready(graph.nodes().size(), 0);  // buckets complete behind each node
  int latest = graph.producer(arena);
  for (const auto& bucket : buckets) {
    for (auto value : bucket.values) latest = std::max(latest, graph.producer(value));
    ++ready[static_cast<std::size_t>(latest)];
  }
  Rewriter rewriter(graph);
  Values tokens;
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    rewriter.copy(graph.nodes()[n]);
    for (std::size_t i = 0; i < ready[n]; ++i) {
      const auto& bucket = buckets[tokens.size()];
      Values inputs{rewriter.map(arena)};
      for (auto value : bucket.values) inputs.push_back(rewriter.map(value));
      tokens.push_back(rewriter.target().add1(
          StartCollective{kind, bucket.begin, bucket.end, static_cast<int>(tokens.size())}, std::move(inputs)));
    }
  }
  return {std::move(rewriter).finish(), std::move(tokens)};
}

}  // namespace ldmpi::ir
