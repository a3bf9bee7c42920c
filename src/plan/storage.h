#pragma once
// Where each parameter block lies in the parameter arenas, and how gradients are bucketed: a function of the
// parameter table and the configuration alone, equal on all ranks.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/shape.h"
#include "ir/ops/optimizer.h"

namespace ldmpi::plan {

/// What the storage needs to know of a parameter block.
struct BlockFacts {
  Shape shape;
  bool trainable = true;
  bool decay = true;
  std::int64_t elements = 0;  ///< stored elements, padding included (backend::WeightLayout)
};

/// A run of elements.
struct Run {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  [[nodiscard]] std::int64_t size() const noexcept { return end - begin; }
  friend bool operator==(const Run&, const Run&) = default;
};

struct ParameterStorage {
  std::vector<Run> blocks;     ///< by block index; element numbers in weights and (trainable ones) gradients
  std::int64_t trainable = 0;  ///< trainable blocks fill [0, trainable), padding included
  std::int64_t total = 0;      ///< frozen blocks behind them
  std::vector<Run> buckets;    ///< they tile [0, trainable), in the order in which gradients become ready
  int shards = 1;              ///< ranks that share the optimizer state; every bucket divides by it

  /// The part of a bucket that shard `rank` owns.
  [[nodiscard]] Run owned(std::size_t bucket, int rank) const;
  /// Elements of the sharded arenas (moments, average, 16-bit master).
  [[nodiscard]] std::int64_t shard_elements() const { return trainable / shards; }
  /// What the optimizer of shard `rank` updates, with its numbering in the sharded arenas. `master_is_weights`: the
  /// master copy is the weight arena itself (fp32 training).
  [[nodiscard]] std::vector<ir::ParameterRange> ranges(std::span<const BlockFacts> facts, int rank,
                                                       bool master_is_weights) const;
};

/// Lays out the blocks in the order in which the backward pass completes them: the reverse of their order of use.
/// A bucket is closed when it holds at least `bucket_elements`.
[[nodiscard]] ParameterStorage make_storage(std::span<const BlockFacts> facts, std::int64_t bucket_elements,
                                            int shards);

}  // namespace ldmpi::plan
