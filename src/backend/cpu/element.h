#pragma once
// Float operands of any type, chunk by chunk as f32: for the kernels that convert themselves.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/dtype.h"

namespace ldmpi::backend::cpu {

inline constexpr std::int64_t kChunk = 1024;

[[nodiscard]] inline const std::byte* element(const void* base, DType type, std::int64_t i) {
  return static_cast<const std::byte*>(base) + i * static_cast<std::int64_t>(size_of(type));
}
[[nodiscard]] inline std::byte* element(void* base, DType type, std::int64_t i) {
  return static_cast<std::byte*>(base) + i * static_cast<std::int64_t>(size_of(type));
}

/// n elements of a float type to floats and back.
inline void read_floats(const void* source, DType type, float* target, std::int64_t n) {
  convert_to_float(source, type, target, static_cast<std::size_t>(n));
}
inline void write_floats(const float* source, DType type, void* target, std::int64_t n) {
  convert_from_float(source, type, target, static_cast<std::size_t>(n));
}

/// body(i, m) for chunks [i, i+m) of [0, n), m <= kChunk.
template <typename Body>
void for_chunks(std::int64_t n, const Body& body) {
  for (std::int64_t i = 0; i < n; i += kChunk) body(i, std::min(kChunk, n - i));
}

/// Elements read as floats: the memory itself where it is f32, else converted.
class FloatsIn {
 public:
  [[nodiscard]] const float* at(const void* base, DType type, std::int64_t offset, std::int64_t n) {
    if (type == DType::F32) return static_cast<const float*>(base) + offset;
    read_floats(element(base, type, offset), type, buffer_, n);
    return buffer_;
  }

 private:
  alignas(64) float buffer_[kChunk];
};

/// Elements written as floats: straight into memory where it is f32, else converted by store().
class FloatsOut {
 public:
  [[nodiscard]] float* at(void* base, DType type, std::int64_t offset) {
    type_ = type;
    target_ = element(base, type, offset);
    return type == DType::F32 ? reinterpret_cast<float*>(target_) : buffer_;
  }
  void store(std::int64_t n) const {
    if (type_ != DType::F32) write_floats(buffer_, type_, target_, n);
  }

 private:
  DType type_ = DType::F32;
  std::byte* target_ = nullptr;
  alignas(64) float buffer_[kChunk];
};

}  // namespace ldmpi::backend::cpu
