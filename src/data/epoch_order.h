#pragma once
// The order of samples: a pure function of seed, batch size and the dataset's segments, the same at any number of
// ranks, and computable from a cursor directly.
//
// Each bucket is an endless stream: epoch after epoch of all its samples, shuffled as blocks (neighbours on disk) and
// then within a window of blocks. Batch k of a bucket takes elements k*B .. (k+1)*B-1 of that stream, so a tail shorter
// than a batch is carried into the next epoch and nothing is ever dropped; a bucket smaller than a batch wraps around.
// Epoch e holds floor((e+1)n/B) - floor(e*n/B) batches of a bucket of n samples, shuffled together with the others'.

#include <cstdint>
#include <span>
#include <vector>

#include "data/dataset.h"

namespace ldmpi::data {

struct GlobalBatch {
  std::uint64_t cursor = 0;  ///< samples consumed before this batch
  std::uint64_t epoch = 0;
  std::size_t bucket = 0;
  std::vector<std::uint64_t> ids;  ///< total_batch_size sample ids
};

class EpochOrder {
 public:
  /// Segments as Dataset::segments() gives them. Errors: BadData if there are no samples, BadConfig for batch size 0.
  EpochOrder(std::uint64_t seed, std::uint64_t total_batch_size, std::span<const Segment> segments);

  /// The batch that starts after `cursor` consumed samples (a multiple of the batch size; else the batch it lies in).
  /// Keeps the last epoch's tables, so ascending cursors are cheap; not thread-safe.
  [[nodiscard]] GlobalBatch at(std::uint64_t cursor);

  /// Epoch of the batch at `cursor`, and batches in an epoch.
  [[nodiscard]] std::uint64_t epoch_of(std::uint64_t cursor) const;
  [[nodiscard]] std::uint64_t batches_before(std::uint64_t epoch) const;

 private:
  struct Block {
    std::uint64_t first;
    std::uint32_t count;
  };
  struct Window {
    std::size_t first_block, end_block;
    std::uint64_t start;  ///< position of its first sample in the epoch of the bucket
  };
  struct Stream {
    std::uint64_t samples = 0;
    std::vector<Block> blocks;
    // Of the epoch in use:
    std::uint64_t epoch = ~0ULL;
    std::vector<Block> shuffled;
    std::vector<Window> windows;
    std::size_t window = ~std::size_t{0};
    std::vector<std::uint64_t> window_ids;
  };
  struct Slot {
    std::uint32_t bucket;
    std::uint32_t ordinal;  ///< how many batches of the same bucket precede it in the epoch
  };

  void enter_epoch(std::uint64_t epoch);
  void enter_stream_epoch(std::size_t bucket, std::uint64_t epoch);
  void enter_window(std::size_t bucket, std::size_t window);

  std::uint64_t seed_;
  std::uint64_t batch_;
  std::vector<Stream> streams_;
  std::uint64_t epoch_ = ~0ULL;
  std::vector<Slot> slots_;
};

}  // namespace ldmpi::data
