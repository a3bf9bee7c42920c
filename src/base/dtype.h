#pragma once
// Element types and the conversions between float and the two 16-bit float formats.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace ldmpi {

enum class DType : std::uint8_t { F32, BF16, F16, F64, I64, I32, U32, U8 };

/// Bytes of one element.
[[nodiscard]] std::size_t size_of(DType type) noexcept;

/// Short name: f32, bf16, f16, f64, i64, i32, u32, u8.
[[nodiscard]] std::string_view name_of(DType type) noexcept;

/// The inverse of name_of; also accepts fp32, fp16. Nothing if the name is unknown.
[[nodiscard]] std::optional<DType> dtype_from_name(std::string_view name) noexcept;

[[nodiscard]] constexpr bool is_half(DType type) noexcept {
  return type == DType::BF16 || type == DType::F16;
}

/// bfloat16 bits of x, rounded to nearest even; NaN stays a quiet NaN.
[[nodiscard]] inline std::uint16_t to_bf16(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  return static_cast<std::uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? (bits >> 16) | 0x40U : rounded);
}

[[nodiscard]] inline float from_bf16(std::uint16_t bits) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// IEEE half bits of x, rounded to nearest even; overflow gives infinity. Without branches, so that loops over it
/// become vector code.
[[nodiscard]] inline std::uint16_t to_f16(float x) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  // A carry out of the mantissa gives infinity.
  const std::uint32_t normal = (magnitude - 0x38000000U + 0xfffU + ((magnitude >> 13) & 1U)) >> 13;
  // Adding 0.5 lets the addition round the mantissa of a subnormal half.
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude < 0x38800000U ? magnitude : 0U) + 0.5F) - 0x3f000000U;
  const std::uint32_t special = magnitude > 0x7f800000U ? 0x7e00U : 0x7c00U;  // NaN, and from 65536 on infinity
  std::uint32_t half = magnitude < 0x38800000U ? subnormal : normal;
  half = magnitude >= 0x47800000U ? special : half;
  return static_cast<std::uint16_t>(half | ((bits >> 16) & 0x8000U));
}

[[nodiscard]] inline float from_f16(std::uint16_t bits) noexcept {
  const std::uint32_t magnitude = (bits & 0x7fffU) << 13;
  // Half exponents move into place by an exact product, subnormals included; infinity and NaN keep their mantissa.
  const std::uint32_t finite = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F);
  const std::uint32_t value = magnitude >= 0x0f800000U ? magnitude | 0x7f800000U : finite;
  return std::bit_cast<float>(value | (static_cast<std::uint32_t>(bits & 0x8000U) << 16));
}

/// Converts `count` elements of a floating type (f32, bf16, f16, f64) at `source` to float and back.
void convert_to_float(const void* source, DType type, float* target, std::size_t count);
void convert_from_float(const float* source, DType type, void* target, std::size_t count);

}  // namespace ldmpi
