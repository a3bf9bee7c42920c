#include "backend/cpu/weight_layout.h"

#include <algorithm>

#include "base/check.h"

namespace ldmpi::backend::cpu {

namespace {

constexpr std::int64_t kBlock = 8;

constexpr std::int64_t blocks(std::int64_t channels) {
  return (channels + kBlock - 1) / kBlock;
}

/// Calls visit(canonical index, storage index) for every element of a blocked weight.
void for_each_element(const Shape& block, auto&& visit) {
  const std::int64_t outputs = block[0], inputs = block[1], taps = block[2] * block[3];
#pragma omp parallel for schedule(static)
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t i = 0; i < inputs; ++i) {
      const std::int64_t tile = (o / kBlock * blocks(inputs) + i / kBlock) * taps;
      const std::int64_t inside = i % kBlock * kBlock + o % kBlock;
      for (std::int64_t t = 0; t < taps; ++t) {
        visit((o * inputs + i) * taps + t, (tile + t) * kBlock * kBlock + inside);
      }
    }
  }
}

void check_sizes(const Shape& block, std::size_t canonical, std::size_t storage) {
  LDMPI_CHECK(static_cast<std::int64_t>(canonical) == block.count(), "block {} and {} values", block.text(), canonical);
  LDMPI_CHECK(static_cast<std::int64_t>(storage) == weight_layout_of(block).elements, "block {} and storage of {}",
              block.text(), storage);
}

}  // namespace

bool is_blocked(const Shape& block) {
  return block.rank() == 4 && block[2] * block[3] > 1;
}

WeightLayout weight_layout_of(const Shape& block) {
  if (!is_blocked(block)) return {"plain", block.count()};
  return {"OIhw8i8o", blocks(block[0]) * blocks(block[1]) * block[2] * block[3] * kBlock * kBlock};
}

void pack_weight(const Shape& block, std::span<const float> canonical, std::span<float> storage) {
  check_sizes(block, canonical.size(), storage.size());
  if (!is_blocked(block)) {
    std::ranges::copy(canonical, storage.begin());
    return;
  }
  std::ranges::fill(storage, 0.0F);
  for_each_element(block, [&](std::int64_t from, std::int64_t to) {
    storage[static_cast<std::size_t>(to)] = canonical[static_cast<std::size_t>(from)];
  });
}

void unpack_weight(const Shape& block, std::span<const float> storage, std::span<float> canonical) {
  check_sizes(block, canonical.size(), storage.size());
  if (!is_blocked(block)) {
    std::ranges::copy(storage, canonical.begin());
    return;
  }
  for_each_element(block, [&](std::int64_t to, std::int64_t from) {
    canonical[static_cast<std::size_t>(to)] = storage[static_cast<std::size_t>(from)];
  });
}

}  // namespace ldmpi::backend::cpu
