// Pictures: any bytes are refused as bad data or become an RGB picture of the size it says.
#include <cstdint>
#include <cstdlib>
#include <span>

#include "base/check.h"
#include "io/image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const ldmpi::io::Image image = ldmpi::io::decode_image(std::as_bytes(std::span(data, size)));
    if (image.pixels.size() != static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3)
      std::abort();
  } catch (const ldmpi::Error& error) {
    if (error.code() != ldmpi::Exit::BadData) std::abort();
  }
  return 0;
}
