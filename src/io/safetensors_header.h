#pragma once
// The JSON header of a safetensors file: what it says, its rules, and its text.

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"

namespace ldmpi::io {

/// A tensor of a safetensors file: row-major, little-endian.
struct TensorInfo {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;
  std::uint64_t offset = 0;  ///< of the first byte, from the begin of the data section
  std::uint64_t bytes = 0;   ///< shape.count() * size_of(dtype)
};

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;              ///< in order of offset
  std::map<std::string, std::string> metadata;  ///< the strings of `__metadata__`
};

inline constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;  ///< bytes of JSON
inline constexpr std::size_t kMaxSafetensorsTensors = 65'536;
inline constexpr std::size_t kMaxTensorName = 512;  ///< bytes

/// Reads and checks a header against the size of the data section. Throws Error(BadData) that names `file` and the
/// tensor if a rule is broken: keys given twice, offsets that leave holes, overlap or do not end with the data, sizes
/// that overflow or differ from shape x dtype, unprintable names, unknown types.
[[nodiscard]] SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_bytes,
                                                         std::string_view file);

/// Puts the tensors into the order on disk (widest type first, then by name, as the reference writer does, so that all
/// data are aligned), sets their offsets and byte counts, and returns the header text, padded with spaces so that data
/// begin at a multiple of 8.
[[nodiscard]] std::string format_safetensors_header(SafetensorsHeader& header);

}  // namespace ldmpi::io
