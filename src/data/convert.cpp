#include "data/convert.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/check.h"

namespace ldmpi::data {
namespace {

/// Half to float by moving the bits and multiplying by 2^112, which also makes subnormals right. Infinity and NaN are
/// the caller's business: they show as exponent 31.
float half_value(std::uint32_t bits) {
  const float magnitude = std::bit_cast<float>((bits & 0x7fffU) << 13) * 0x1p112F;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | ((bits & 0x8000U) << 16));
}

}  // namespace

bool convert_scaled(std::span<const std::byte> stored, DType dtype, float shift, float scale, std::span<float> target) {
  LDMPI_CHECK(stored.size() == target.size() * size_of(dtype), "{} bytes for {} values", stored.size(), target.size());
  const std::size_t count = target.size();
  if (count == 0) return true;
  float* out = target.data();
  std::uint32_t largest = 0;
  if (dtype == DType::F16) {
    const std::byte* from = stored.data();
    for (std::size_t i = 0; i < count; ++i) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, from + i * 2, 2);
      largest = std::max(largest, static_cast<std::uint32_t>(bits & 0x7fffU));
      out[i] = (half_value(bits) - shift) * scale;
    }
    return largest < 0x7c00U;
  }
  LDMPI_CHECK(dtype == DType::F32, "{} is not a stored type", name_of(dtype));
  std::memcpy(out, stored.data(), stored.size());
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(out[i]) & 0x7fffffffU);
    out[i] = (out[i] - shift) * scale;
  }
  return largest < 0x7f800000U;
}

void deviation_from_logvar(std::span<float> values, float scale) {
  for (float& value : values) value = std::exp(0.5F * std::clamp(value, -30.0F, 20.0F)) * scale;
}

}  // namespace ldmpi::data
