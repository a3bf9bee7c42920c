#include "data/epoch_order.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/check.h"
#include "base/rng.h"

namespace ldmpi::data {
namespace {

constexpr std::uint32_t kBlock = 32;  // neighbours on disk: 1 MiB of 32 KiB latents, so a cold disk reads ahead well
constexpr std::size_t kWindow = 256;  // blocks shuffled through each other: 8192 samples

enum class Level : std::uint64_t { Slots = 1, Blocks = 2, Window = 3 };

Draw draw_for(std::uint64_t seed, Level level, std::uint64_t epoch, std::uint64_t bucket, std::uint64_t window) {
  const std::array<std::uint64_t, 4> words{static_cast<std::uint64_t>(level), epoch, bucket, window};
  std::array<char, 32> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(words[i / 8] >> (8 * (i % 8)));
  return {seed, Purpose::Order, name_hash(bytes.data(), bytes.size())};
}

/// Fisher-Yates.
template <typename T>
void shuffle(std::vector<T>& values, const Draw& draw) {
  for (std::size_t i = values.size(); i > 1; --i)
    std::swap(values[i - 1], values[draw.below(i, static_cast<std::uint32_t>(i))]);
}

}  // namespace

EpochOrder::EpochOrder(std::uint64_t seed, std::uint64_t total_batch_size, std::span<const Segment> segments)
    : seed_(seed), batch_(total_batch_size) {
  require(batch_ > 0, Exit::BadConfig, "the total batch size must be above 0");
  for (const auto& segment : segments) {
    if (segment.count == 0) continue;
    if (streams_.size() <= segment.bucket) streams_.resize(segment.bucket + 1);
    Stream& stream = streams_[segment.bucket];
    stream.samples += segment.count;
    for (std::uint64_t at = 0; at < segment.count; at += kBlock)
      stream.blocks.push_back(
          {segment.first + at, static_cast<std::uint32_t>(std::min<std::uint64_t>(kBlock, segment.count - at))});
  }
  require(!streams_.empty(), Exit::BadData, "the dataset has no samples");
}

std::uint64_t EpochOrder::batches_before(std::uint64_t epoch) const {
  std::uint64_t batches = 0;
  for (const auto& stream : streams_) batches += epoch * stream.samples / batch_;
  return batches;
}

std::uint64_t EpochOrder::epoch_of(std::uint64_t cursor) const {
  // The epoch with batches_before(epoch) <= batch < batches_before(epoch + 1). An epoch's batches differ from its
  // samples / batch_ by less than one a bucket, which bounds the search.
  const std::uint64_t batch = cursor / batch_;
  std::uint64_t low = 0;
  std::uint64_t high = 1;
  while (batches_before(high) <= batch) high *= 2;
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (batches_before(middle) <= batch ? low : high) = middle;
  }
  return low;
}

GlobalBatch EpochOrder::at(std::uint64_t cursor) {
  const std::uint64_t batch = cursor / batch_;
  GlobalBatch out;
  out.cursor = cursor;
  out.epoch = epoch_of(cursor);
  if (out.epoch != epoch_) enter_epoch(out.epoch);
  const Slot slot = slots_.at(static_cast<std::size_t>(batch - batches_before(out.epoch)));
  out.bucket = slot.bucket;
  const std::uint64_t samples = streams_[slot.bucket].samples;
  const std::uint64_t start = (out.epoch * samples / batch_ + slot.ordinal) * batch_;  // in the bucket's endless stream
  out.ids.reserve(static_cast<std::size_t>(batch_));
  for (std::uint64_t position = start; position < start + batch_; ++position) {
    enter_stream_epoch(slot.bucket, position / samples);
    Stream& stream = streams_[slot.bucket];
    const std::uint64_t in_epoch = position % samples;
    const auto after = std::ranges::upper_bound(stream.windows, in_epoch, {}, &Window::start);
    const auto window = static_cast<std::size_t>(after - stream.windows.begin()) - 1;
    enter_window(slot.bucket, window);
    out.ids.push_back(stream.window_ids[static_cast<std::size_t>(in_epoch - stream.windows[window].start)]);
  }
  return out;
}

void EpochOrder::enter_epoch(std::uint64_t epoch) {
  slots_.clear();
  for (std::size_t bucket = 0; bucket < streams_.size(); ++bucket) {
    const std::uint64_t samples = streams_[bucket].samples;
    const std::uint64_t batches = (epoch + 1) * samples / batch_ - epoch * samples / batch_;
    for (std::uint64_t i = 0; i < batches; ++i) slots_.push_back({static_cast<std::uint32_t>(bucket), 0});
  }
  shuffle(slots_, draw_for(seed_, Level::Slots, epoch, 0, 0));
  std::vector<std::uint32_t> seen(streams_.size(), 0);
  for (auto& slot : slots_) slot.ordinal = seen[slot.bucket]++;
  epoch_ = epoch;
}

void EpochOrder::enter_stream_epoch(std::size_t bucket, std::uint64_t epoch) {
  Stream& stream = streams_[bucket];
  if (stream.epoch == epoch) return;
  stream.shuffled = stream.blocks;
  shuffle(stream.shuffled, draw_for(seed_, Level::Blocks, epoch, bucket, 0));
  stream.windows.clear();
  std::uint64_t start = 0;
  for (std::size_t first = 0; first < stream.shuffled.size(); first += kWindow) {
    const std::size_t end = std::min(first + kWindow, stream.shuffled.size());
    stream.windows.push_back({first, end, start});
    for (std::size_t i = first; i < end; ++i) start += stream.shuffled[i].count;
  }
  stream.epoch = epoch;
  stream.window = ~std::size_t{0};
}

void EpochOrder::enter_window(std::size_t bucket, std::size_t window) {
  Stream& stream = streams_[bucket];
  if (stream.window == window) return;
  stream.window_ids.clear();
  for (std::size_t i = stream.windows[window].first_block; i < stream.windows[window].end_block; ++i)
    for (std::uint32_t j = 0; j < stream.shuffled[i].count; ++j)
      stream.window_ids.push_back(stream.shuffled[i].first + j);
  shuffle(stream.window_ids, draw_for(seed_, Level::Window, stream.epoch, bucket, window));
  stream.window = window;
}

}  // namespace ldmpi::data
