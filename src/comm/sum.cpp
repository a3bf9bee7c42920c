#include "comm/sum.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/check.h"

namespace ldmpi::comm {
namespace {

template <typename T>
void add(void* target, const void* source, std::size_t count) {
  auto* to = static_cast<T*>(target);
  const auto* from = static_cast<const T*>(source);
  for (std::size_t i = 0; i < count; ++i) to[i] += from[i];
}

void add_halves(std::uint16_t* target, const std::uint16_t* source, std::size_t count, DType type) {
  constexpr std::size_t kTile = 1024;  // both tiles stay in the first-level cache
  std::array<float, kTile> sum;
  std::array<float, kTile> term;
  for (std::size_t begin = 0; begin < count; begin += kTile) {
    const std::size_t n = std::min(kTile, count - begin);
    convert_to_float(target + begin, type, sum.data(), n);
    convert_to_float(source + begin, type, term.data(), n);
    for (std::size_t i = 0; i < n; ++i) sum[i] += term[i];
    convert_from_float(sum.data(), type, target + begin, n);
  }
}

}  // namespace

bool can_sum(DType type) noexcept {
  return type == DType::F32 || type == DType::F64 || type == DType::I64 || is_half(type);
}

void add_into(void* target, const void* source, std::size_t count, DType type) {
  switch (type) {
    case DType::F32: return add<float>(target, source, count);
    case DType::F64: return add<double>(target, source, count);
    // Unsigned: wraps around where a signed sum would be undefined.
    case DType::I64: return add<std::uint64_t>(target, source, count);
    case DType::BF16:
    case DType::F16:
      return add_halves(static_cast<std::uint16_t*>(target), static_cast<const std::uint16_t*>(source), count, type);
    default: LDMPI_CHECK(false, "no sum of {} over ranks", name_of(type));
  }
}

}  // namespace ldmpi::comm
