// JSON text: any bytes are refused as bad data, or read, and then printed and read back equal.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/check.h"
#include "io/json_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const nlohmann::json value = ldmpi::io::parse_json(text, "fuzz", {.depth = 32, .values = 10'000});
    if (ldmpi::io::parse_json(value.dump(), "printed") != value) std::abort();
  } catch (const ldmpi::Error& error) {
    if (error.code() != ldmpi::Exit::BadData) std::abort();
  }
  return 0;
}
