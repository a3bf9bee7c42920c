#include "plan/place.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

namespace ldmpi::plan {
namespace {

// Places slices in the given order, each at the lowest gap that fits among those alive with it.
std::int64_t place_in_order(const std::vector<Slice>& slices, const std::vector<std::size_t>& order,
                            std::vector<std::int64_t>& offsets) {
  std::int64_t total = 0;
  std::vector<std::size_t> placed;  // sorted by offset
  placed.reserve(order.size());
  for (auto index : order) {
    const auto& slice = slices[index];
    std::int64_t best = -1;
    std::int64_t best_gap = std::numeric_limits<std::int64_t>::max();
    std::int64_t cursor = 0;
    for (auto other : placed) {
      if (slices[other].last < slice.first || slices[other].first > slice.last) continue;
      const auto gap = offsets[other] - cursor;
      if (gap >= slice.bytes && gap < best_gap) {
        best = cursor;
        best_gap = gap;
      }
      cursor = std::max(cursor, offsets[other] + slices[other].bytes);
    }
    offsets[index] = best >= 0 ? best : cursor;
    total = std::max(total, offsets[index] + slice.bytes);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), index, [&](auto a, auto b) { return offsets[a] < offsets[b]; }),
        index);
  }
  return total;
}

}  // namespace

std::int64_t peak_live_bytes(const std::vector<Slice>& slices) {
  std::map<int, std::int64_t> change;
  for (const auto& slice : slices) {
    change[slice.first] += slice.bytes;
    change[slice.last + 1] -= slice.bytes;
  }
  std::int64_t live = 0;
  std::int64_t peak = 0;
  for (const auto& [node, delta] : change) peak = std::max(peak, live += delta);
  return peak;
}

std::int64_t place_slices(std::vector<Slice>& slices) {
  const auto bound = peak_live_bytes(slices);
  std::vector<std::int64_t> best_offsets(slices.size(), 0);
  std::int64_t best = std::numeric_limits<std::int64_t>::max();
  auto attempt = [&](auto before) {
    if (best == bound) return;
    std::vector<std::size_t> order(slices.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return before(slices[a], slices[b]); });
    std::vector<std::int64_t> offsets(slices.size(), 0);
    const auto total = place_in_order(slices, order, offsets);
    if (total < best) {
      best = total;
      best_offsets = std::move(offsets);
    }
  };
  auto length = [](const Slice& s) { return static_cast<std::int64_t>(s.last - s.first + 1); };
  attempt([](const Slice& a, const Slice& b) { return a.bytes > b.bytes; });
  attempt([&](const Slice& a, const Slice& b) { return length(a) > length(b); });
  attempt([&](const Slice& a, const Slice& b) {
    return static_cast<double>(a.bytes) * static_cast<double>(length(a)) >
           static_cast<double>(b.bytes) * static_cast<double>(length(b));
  });
  attempt([&](const Slice& a, const Slice& b) { return a.first != b.first ? a.first < b.first : a.last > b.last; });
  if (slices.empty()) best = 0;
  for (std::size_t i = 0; i < slices.size(); ++i) slices[i].offset = best_offsets[i];
  return best;
}

}  // namespace ldmpi::plan
