// safetensors header: two bytes say how large the data section is, the rest is the header text. What is accepted must
// tile the data and survive being written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "io/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint64_t data_bytes = (data[0] ^ '0') + std::uint64_t{256} * (data[1] ^ '0');  // "00" is nothing
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  ldmpi::io::SafetensorsHeader header;
  try {
    header = ldmpi::io::parse_safetensors_header(text, data_bytes, "fuzz");
  } catch (const ldmpi::Error& error) {
    if (error.code() != ldmpi::Exit::BadData) std::abort();
    return 0;
  }
  std::uint64_t position = 0;
  for (const auto& tensor : header.tensors) {
    if (tensor.offset != position) std::abort();
    if (tensor.bytes != static_cast<std::uint64_t>(tensor.shape.count()) * ldmpi::size_of(tensor.dtype)) std::abort();
    position += tensor.bytes;
  }
  if (position != data_bytes) std::abort();
  const std::string written = ldmpi::io::format_safetensors_header(header);
  const auto again = ldmpi::io::parse_safetensors_header(written, data_bytes, "written");
  if (again.tensors.size() != header.tensors.size() || again.metadata != header.metadata) std::abort();
  return 0;
}
