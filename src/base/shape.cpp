#include "base/shape.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/check.h"

namespace ldmpi {

Shape::Shape(std::initializer_list<std::int64_t> extents) : Shape(std::span(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) : rank_(static_cast<int>(extents.size())) {
  LDMPI_CHECK(extents.size() <= kMaxRank, "a shape has at most {} axes, not {}", kMaxRank, extents.size());
  std::copy(extents.begin(), extents.end(), extents_.begin());
}

std::int64_t Shape::count() const noexcept {
  std::int64_t product = 1;
  for (auto extent : extents()) product *= extent;
  return product;
}

Shape Shape::repeated(std::uint64_t rows) const {
  LDMPI_CHECK(rank_ < kMaxRank, "a shape has at most {} axes", kMaxRank);
  Shape result;
  result.rank_ = rank_ + 1;
  result.extents_[0] = static_cast<std::int64_t>(rows);
  std::copy_n(extents_.begin(), rank_, result.extents_.begin() + 1);
  return result;
}

std::string Shape::text() const {
  return fmt::format("[{}]", fmt::join(extents(), ","));
}

}  // namespace ldmpi
