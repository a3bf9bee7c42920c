#pragma once
// The prefetching reader of one rank: a background thread fills a ring of micro-batches in the order of EpochOrder.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/dataset.h"

namespace ldmpi::data {

enum class BadSample { Fail, Skip };

struct ReaderOptions {
  std::uint64_t seed = 0;
  std::uint64_t total_batch_size = 0;  ///< = ranks * batch_size * accumulation, else BadConfig
  std::uint64_t batch_size = 0;        ///< samples per micro-batch and rank
  int rank = 0;
  int ranks = 1;
  int accumulation = 1;            ///< micro-batches per step
  std::uint64_t start_cursor = 0;  ///< samples consumed before the first step
  /// Skip replaces a damaged sample by the next sound one of its bucket, with a warning, as long as no more than 0.01 %
  /// of the dataset (at least one sample) is found damaged; beyond that, and always with Fail, next() throws BadData
  /// naming shard and row. The replacement depends on the data alone, so it is the same at any number of ranks.
  BadSample bad_sample = BadSample::Fail;
  int prefetch = 4;  ///< micro-batches read ahead, at least 1
};

/// One micro-batch of this rank. Row i holds position p = (micro*ranks + rank)*batch_size + i of the global batch.
struct Batch {
  std::size_t bucket = 0;
  std::uint64_t epoch = 0;
  std::uint64_t cursor = 0;               ///< of the first sample of the global batch
  int micro = 0;                          ///< 0 .. accumulation-1
  std::vector<std::uint64_t> sample_ids;  ///< [N] what was read (after replacement)
  std::vector<std::uint64_t> draws;       ///< [N] cursor + p: the draw index of the random numbers of row i
  Shape latent_shape;                     ///< [N,C,H,W], or [N,2C,H,W] with moments
  Rows rows;                              ///< latents, context, pooled, time_ids as float
};

class BatchReader {
 public:
  /// The dataset must outlive the reader. Reading starts at once. Errors: BadConfig for contradictory options.
  BatchReader(const Dataset& dataset, const ReaderOptions& options);
  BatchReader(BatchReader&&) noexcept;
  BatchReader& operator=(BatchReader&&) noexcept;
  ~BatchReader();

  /// The next micro-batch; valid until the next call. Throws what the reading thread met (BadData, IoError, ...).
  /// The first call warns when the standard deviation of the scaled latents leaves 0.5 .. 2.
  [[nodiscard]] const Batch& next();
  /// Seconds that the last next() waited for the reading thread.
  [[nodiscard]] double wait_seconds() const noexcept;
  /// Samples replaced so far under BadSample::Skip.
  [[nodiscard]] std::uint64_t skipped() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Random access for the validation loss: rows of the given samples, which must share one bucket (BadConfig otherwise).
/// `draws` and `cursor` are zero.
[[nodiscard]] Batch read_samples(const Dataset& dataset, std::span<const std::uint64_t> sample_ids);

/// Standard deviation of scaled latents: of the values, or sqrt(var(mean) + mean(std^2)) for rows with moments.
[[nodiscard]] double scaled_deviation(const DatasetInfo& info, const Batch& batch);

}  // namespace ldmpi::data
