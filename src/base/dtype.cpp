#include "base/dtype.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace ldmpi {

std::size_t size_of(DType type) noexcept {
  switch (type) {
    case DType::F64:
    case DType::I64: return 8;
    case DType::F32:
    case DType::I32:
    case DType::U32: return 4;
    case DType::BF16:
    case DType::F16: return 2;
    case DType::U8: return 1;
  }
  return 0;
}

std::string_view name_of(DType type) noexcept {
  switch (type) {
    case DType::F32: return "f32";
    case DType::BF16: return "bf16";
    case DType::F16: return "f16";
    case DType::F64: return "f64";
    case DType::I64: return "i64";
    case DType::I32: return "i32";
    case DType::U32: return "u32";
    case DType::U8: return "u8";
  }
  return "?";
}

std::optional<DType> dtype_from_name(std::string_view name) noexcept {
  if (name == "fp32") return DType::F32;
  if (name == "fp16") return DType::F16;
  for (auto type : {DType::F32, DType::BF16, DType::F16, DType::F64, DType::I64, DType::I32, DType::U32, DType::U8})
    if (name == name_of(type)) return type;
  return std::nullopt;
}

void convert_to_float(const void* source, DType type, float* target, std::size_t count) {
  switch (type) {
    case DType::F32: std::memcpy(target, source, count * sizeof(float)); return;
    case DType::BF16: {
      const auto* from = static_cast<const std::uint16_t*>(source);
      for (std::size_t i = 0; i < count; ++i) target[i] = from_bf16(from[i]);
      return;
    }
    case DType::F16: {
      const auto* from = static_cast<const std::uint16_t*>(source);
      for (std::size_t i = 0; i < count; ++i) target[i] = from_f16(from[i]);
      return;
    }
    case DType::F64: {
      const auto* from = static_cast<const double*>(source);
      for (std::size_t i = 0; i < count; ++i) target[i] = static_cast<float>(from[i]);
      return;
    }
    default: LDMPI_CHECK(false, "{} is not a floating type", name_of(type));
  }
}

void convert_from_float(const float* source, DType type, void* target, std::size_t count) {
  switch (type) {
    case DType::F32: std::memcpy(target, source, count * sizeof(float)); return;
    case DType::BF16: {
      auto* to = static_cast<std::uint16_t*>(target);
      for (std::size_t i = 0; i < count; ++i) to[i] = to_bf16(source[i]);
      return;
    }
    case DType::F16: {
      auto* to = static_cast<std::uint16_t*>(target);
      for (std::size_t i = 0; i < count; ++i) to[i] = to_f16(source[i]);
      return;
    }
    case DType::F64: {
      auto* to = static_cast<double*>(target);
      for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<double>(source[i]);
      return;
    }
    default: LDMPI_CHECK(false, "{} is not a floating type", name_of(type));
  }
}

}  // namespace ldmpi
