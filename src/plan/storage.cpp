#include "plan/storage.h"

#include <algorithm>

#include "base/check.h"

namespace ldmpi::plan {
namespace {

constexpr std::int64_t kBlockAlignment = 32;  // elements: every block begins on a 64-byte line in any element type

std::int64_t round_up(std::int64_t value, std::int64_t to) {
  return (value + to - 1) / to * to;
}

}  // namespace

Run ParameterStorage::owned(std::size_t bucket, int rank) const {
  const auto& run = buckets[bucket];
  const auto part = run.size() / shards;
  return {run.begin + rank * part, run.begin + (rank + 1) * part};
}

std::vector<ir::ParameterRange> ParameterStorage::ranges(std::span<const BlockFacts> facts, int rank,
                                                         bool master_is_weights) const {
  // Trainable blocks in arena order, to look up the decay of any element.
  std::vector<std::pair<Run, bool>> decay;
  for (std::size_t b = 0; b < blocks.size(); ++b)
    if (facts[b].trainable) decay.push_back({blocks[b], facts[b].decay});
  std::sort(decay.begin(), decay.end(), [](const auto& a, const auto& b) { return a.first.begin < b.first.begin; });

  std::vector<ir::ParameterRange> result;
  std::int64_t local = 0;
  std::size_t next = 0;
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    const auto mine = owned(b, rank);
    for (std::int64_t at = mine.begin; at < mine.end;) {
      while (next < decay.size() && decay[next].first.end <= at) ++next;
      // A range runs to where the decay changes; the padding behind a block goes with it.
      const bool flag = next < decay.size() ? decay[next].second : true;
      std::size_t follow = next;
      while (follow < decay.size() && decay[follow].second == flag) ++follow;
      const auto stop = follow < decay.size() ? decay[follow].first.begin : trainable;
      const auto end = std::min(mine.end, std::max(stop, at + 1));
      if (!result.empty() && result.back().end == at && result.back().decay == flag &&
          result.back().moment_begin + (at - result.back().begin) == local) {
        result.back().end = end;
      } else {
        result.push_back({at, end, master_is_weights ? at : local, local, flag});
      }
      local += end - at;
      at = end;
    }
  }
  return result;
}

ParameterStorage make_storage(std::span<const BlockFacts> facts, std::int64_t bucket_elements, int shards) {
  LDMPI_CHECK(shards >= 1 && bucket_elements >= 1, "a bucket needs at least one element and one shard");
  ParameterStorage storage;
  storage.shards = shards;
  storage.blocks.resize(facts.size());
  std::int64_t at = 0;
  std::int64_t bucket = 0;
  auto close = [&] {
    at = round_up(at, kBlockAlignment * shards);
    if (at > bucket) storage.buckets.push_back({bucket, at});
    bucket = at;
  };
  for (std::size_t b = facts.size(); b-- > 0;) {
    if (!facts[b].trainable) continue;
    storage.blocks[b] = {at, at + facts[b].elements};
    at = round_up(at + facts[b].elements, kBlockAlignment);
    if (at - bucket >= bucket_elements) close();
  }
  close();
  storage.trainable = at;
  for (std::size_t b = 0; b < facts.size(); ++b) {
    if (facts[b].trainable) continue;
    storage.blocks[b] = {at, at + facts[b].elements};
    at = round_up(at + facts[b].elements, kBlockAlignment);
  }
  storage.total = at;
  return storage;
}

}  // namespace ldmpi::plan
