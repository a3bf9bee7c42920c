#include "data/convert.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/check.h"

namespace ldmpi::data {

bool convert_scaled(std::span<const std::byte> stored, DType dtype, float shift, float scale, std::span<float> target) {
  LDMPI_CHECK(stored.size() == target.size() * size_of(dtype), "{} bytes for {} values", stored.size(), target.size());
  LDMPI_CHECK(dtype == DType::F16 || dtype == DType::F32, "{} is not a stored type", name_of(dtype));
  if (target.empty()) return true;
  convert_to_float(stored.data(), dtype, target.data(), target.size());
  std::uint32_t largest = 0;  // NaN and infinity are the largest bit patterns
  for (float& value : target) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(value) & 0x7fffffffU);
    value = (value - shift) * scale;
  }
  return largest < 0x7f800000U;
}

void deviation_from_logvar(std::span<float> values, float scale) {
  for (float& value : values) value = std::exp(0.5F * std::clamp(value, -30.0F, 20.0F)) * scale;
}

}  // namespace ldmpi::data
