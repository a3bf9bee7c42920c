#pragma once
// Rewrites of a graph. Each returns a new graph that computes the same results.

#include <set>
#include <vector>

#include "ir/graph.h"

namespace ldmpi::ir {

/// silu(group_norm(x)) becomes group_norm{silu=true}(x) where nobody else reads the norm. Runs before differentiation,
/// so that the fused gradient follows by itself.
[[nodiscard]] Graph fuse_silu(const Graph& graph);

/// Equal ops on equal inputs become one; a read of persistent memory never moves across its write.
[[nodiscard]] Graph merge_equal(const Graph& graph);

/// Keeps what outputs, bindings, in-place writes, collectives and marks need.
[[nodiscard]] Graph remove_dead(const Graph& graph);

/// Whether the results of a node may be computed a second time in the backward pass instead of being kept.
[[nodiscard]] bool may_recompute(const Node& node);

/// Computes the chosen forward nodes (indices into graph.nodes()) again before their first use in the backward pass.
[[nodiscard]] Graph recompute(const Graph& graph, const std::set<int>& chosen);

/// A run of the gradient arena that is reduced at once, and the values that must be in it by then.
struct GradientBucket {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  Values values;
};

/// Starts each bucket's collective right behind the node that completes it. `arena` is the whole gradient arena.
/// Buckets are numbered in their given order, which is the order of the starts on every rank. Returns the graph and
/// the tokens of the started collectives.
struct Bucketed {
  Graph graph;
  Values tokens;
};
[[nodiscard]] Bucketed start_collectives(const Graph& graph, Value arena, CollectiveKind kind,
                                         const std::vector<GradientBucket>& buckets);

}  // namespace ldmpi::ir
