// Job configuration: any bytes are either refused with a list of faults or read, and then printed and read back equal.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "config/print.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string content(reinterpret_cast<const char*>(data), size);
  ldmpi::config::TrainConfig config;
  try {
    config = ldmpi::config::from_ini(content, "fuzz.cfg");
  } catch (const ldmpi::Error& error) {
    if (error.code() != ldmpi::Exit::BadConfig) std::abort();
    return 0;
  }
  const std::string printed = ldmpi::config::to_ini(config);
  if (!ldmpi::config::diff(config, ldmpi::config::from_ini(printed, "printed.cfg")).empty()) std::abort();
  return 0;
}
