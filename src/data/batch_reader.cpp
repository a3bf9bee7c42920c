#include "data/batch_reader.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <set>
#include <stop_token>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "data/epoch_order.h"

namespace ldmpi::data {
namespace {

constexpr double kDamagedShare = 1e-4;

/// The sample after `sample` in its bucket, wrapping around.
std::uint64_t next_in_bucket(const Dataset& dataset, std::uint64_t sample) {
  const std::size_t bucket = dataset.bucket_of(sample);
  const auto& segments = dataset.segments();
  const auto after = std::ranges::upper_bound(segments, sample, {}, &Segment::first);
  auto index = static_cast<std::size_t>(after - segments.begin()) - 1;
  if (sample + 1 < segments[index].first + segments[index].count) return sample + 1;
  do index = (index + 1) % segments.size();
  while (segments[index].bucket != bucket);
  return segments[index].first;
}

}  // namespace

struct BatchReader::State {
  State(const Dataset& dataset_in, const ReaderOptions& options_in)
      : dataset(dataset_in),
        options(options_in),
        order(options.seed, options.total_batch_size, dataset.segments()),
        ring(static_cast<std::size_t>(options.prefetch) + 1) {}

  const Dataset& dataset;
  const ReaderOptions options;
  EpochOrder order;
  std::set<std::uint64_t> damaged;  // of the reading thread
  bool first = true;
  double waited = 0.0;

  std::mutex mutex;  // guards what follows; the slots in use are handed over by `filled`
  std::condition_variable_any changed;
  std::vector<Batch> ring;
  std::size_t tail = 0;    // next slot to hand out
  std::size_t filled = 0;  // slots ready from tail on
  bool lent = false;       // the slot before tail is in the caller's hands
  std::uint64_t skipped = 0;
  std::exception_ptr failure;
  std::jthread thread;  // last: joins before the rest goes

  void run(const std::stop_token& stop) {
    try {
      std::size_t head = 0;
      for (std::uint64_t cursor = options.start_cursor;; cursor += options.total_batch_size) {
        const GlobalBatch global = order.at(cursor);
        for (int micro = 0; micro < options.accumulation; ++micro) {
          {
            std::unique_lock lock(mutex);
            if (!changed.wait(lock, stop, [&] { return filled + (lent ? 1 : 0) < ring.size(); })) return;
          }
          fill(ring[head], global, micro, stop);
          if (stop.stop_requested()) return;
          head = (head + 1) % ring.size();
          const std::scoped_lock lock(mutex);
          ++filled;
          changed.notify_all();
        }
      }
    } catch (...) {
      const std::scoped_lock lock(mutex);
      failure = std::current_exception();
      changed.notify_all();
    }
  }

  void fill(Batch& batch, const GlobalBatch& global, int micro, const std::stop_token& stop) {
    const std::size_t n = options.batch_size;
    const auto first_position = static_cast<std::size_t>(micro * options.ranks + options.rank) * n;
    batch.bucket = global.bucket;
    batch.epoch = global.epoch;
    batch.cursor = global.cursor;
    batch.micro = micro;
    batch.sample_ids.resize(n);
    batch.draws.resize(n);
    batch.latent_shape = dataset.stored_shape(global.bucket).repeated(n);
    dataset.resize(batch.rows, global.bucket, n);
    for (std::size_t i = 0; i < n && !stop.stop_requested(); ++i) {
      batch.draws[i] = global.cursor + first_position + i;
      batch.sample_ids[i] = read(global.ids[first_position + i], batch.rows, i);
    }
  }

  /// Reads the sample, or under BadSample::Skip the next sound one; returns which.
  std::uint64_t read(std::uint64_t sample, Rows& rows, std::size_t position) {
    for (std::uint64_t candidate = sample;; candidate = next_in_bucket(dataset, candidate)) {
      if (damaged.contains(candidate)) continue;
      try {
        dataset.read(candidate, rows, position);
      } catch (const Error& error) {
        if (options.bad_sample == BadSample::Fail || error.code() != Exit::BadData) throw;
        note_damaged(candidate, error);
        continue;
      }
      if (candidate != sample) {
        const std::scoped_lock lock(mutex);
        ++skipped;
      }
      return candidate;
    }
  }

  void note_damaged(std::uint64_t sample, const Error& error) {
    damaged.insert(sample);
    const auto samples = static_cast<double>(dataset.info().samples);
    const auto most = std::max(1.0, std::floor(samples * kDamagedShare));
    require(static_cast<double>(damaged.size()) <= most && damaged.size() < dataset.info().samples, Exit::BadData,
            "more than {} damaged sample(s) of {}, the limit of data.bad_sample = skip. The last: {}", most, samples,
            error.what());
    log::warning("a damaged sample is replaced by the next one: {}", error.what());
  }
};

BatchReader::BatchReader(const Dataset& dataset, const ReaderOptions& options) {
  require(options.ranks >= 1 && options.rank >= 0 && options.rank < options.ranks && options.accumulation >= 1 &&
              options.batch_size >= 1 && options.prefetch >= 1,
          Exit::BadConfig, "reader: rank {} of {}, batch_size {}, accumulation {}, prefetch {}", options.rank,
          options.ranks, options.batch_size, options.accumulation, options.prefetch);
  const auto product =
      static_cast<std::uint64_t>(options.ranks) * options.batch_size * static_cast<std::uint64_t>(options.accumulation);
  require(options.total_batch_size == product, Exit::BadConfig,
          "total_batch_size {} is not {} ranks x batch_size {} x accumulation {} = {}", options.total_batch_size,
          options.ranks, options.batch_size, options.accumulation, product);
  state_ = std::make_unique<State>(dataset, options);
  state_->thread = std::jthread([state = state_.get()](const std::stop_token& stop) { state->run(stop); });
}

BatchReader::BatchReader(BatchReader&&) noexcept = default;
BatchReader& BatchReader::operator=(BatchReader&&) noexcept = default;
BatchReader::~BatchReader() = default;

const Batch& BatchReader::next() {
  State& state = *state_;
  const auto start = Clock::now();
  const Batch* batch = nullptr;
  {
    std::unique_lock lock(state.mutex);
    state.lent = false;
    state.changed.notify_all();
    state.changed.wait(lock, [&] { return state.filled > 0 || state.failure; });
    if (state.filled == 0) std::rethrow_exception(state.failure);
    batch = &state.ring[state.tail];
    state.tail = (state.tail + 1) % state.ring.size();
    --state.filled;
    state.lent = true;
  }
  state.waited = seconds_since(start);
  if (std::exchange(state.first, false)) {
    const double deviation = scaled_deviation(state.dataset.info(), *batch);
    if (!(deviation >= 0.5 && deviation <= 2.0))
      log::warning(
          "the scaled latents of the first batch have standard deviation {:.3g}, expected about 1 (0.5 .. 2): "
          "is the dataset's scaling_factor {} right? See ldmpi-data inspect",
          deviation, state.dataset.info().scaling_factor);
  }
  return *batch;
}

double BatchReader::wait_seconds() const noexcept {
  return state_->waited;
}

std::uint64_t BatchReader::skipped() const noexcept {
  const std::scoped_lock lock(state_->mutex);
  return state_->skipped;
}

Batch read_samples(const Dataset& dataset, std::span<const std::uint64_t> sample_ids) {
  require(!sample_ids.empty(), Exit::BadConfig, "no samples asked for");
  Batch batch;
  batch.bucket = dataset.bucket_of(sample_ids.front());
  batch.sample_ids.assign(sample_ids.begin(), sample_ids.end());
  batch.draws.assign(sample_ids.size(), 0);
  batch.latent_shape = dataset.stored_shape(batch.bucket).repeated(sample_ids.size());
  dataset.resize(batch.rows, batch.bucket, sample_ids.size());
  for (std::size_t i = 0; i < sample_ids.size(); ++i) {
    require(dataset.bucket_of(sample_ids[i]) == batch.bucket, Exit::BadConfig,
            "samples {} and {} have different latent shapes", sample_ids.front(), sample_ids[i]);
    dataset.read(sample_ids[i], batch.rows, i);
  }
  return batch;
}

double scaled_deviation(const DatasetInfo& info, const Batch& batch) {
  const auto rows = static_cast<std::size_t>(batch.latent_shape[0]);
  const std::size_t row = batch.rows.latents.size() / rows;
  const std::size_t values = info.has_moments ? row / 2 : row;
  double sum = 0;
  double squares = 0;
  double variances = 0;
  for (std::size_t n = 0; n < rows; ++n)
    for (std::size_t i = 0; i < row; ++i) {
      const double value = batch.rows.latents[n * row + i];
      if (i < values) {
        sum += value;
        squares += value * value;
      } else {
        variances += value * value;
      }
    }
  const auto count = static_cast<double>(rows * values);
  return std::sqrt(std::max(0.0, squares / count - (sum / count) * (sum / count)) + variances / count);
}

}  // namespace ldmpi::data
