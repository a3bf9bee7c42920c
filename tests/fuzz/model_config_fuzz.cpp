// U-Net config.json: any bytes are refused as bad data, or read, and then printed and read back equal.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/check.h"
#include "nn/unet_config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto config = ldmpi::nn::parse_unet_config({reinterpret_cast<const char*>(data), size}, "fuzz");
    if (ldmpi::nn::parse_unet_config(ldmpi::nn::to_json(config), "printed") != config) std::abort();
  } catch (const ldmpi::Error& error) {
    if (error.code() != ldmpi::Exit::BadData) std::abort();
  }
  return 0;
}
