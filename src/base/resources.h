#pragma once
// What this process uses, as the system counts it.

#include <cstdint>

namespace ldmpi {

struct Resources {
  std::int64_t resident_bytes = 0;       ///< memory that is there now
  std::int64_t peak_resident_bytes = 0;  ///< the most there ever was
  std::int64_t minor_page_faults = 0;  ///< since the start: pages that were given to the process without reading a disk
};

/// Zeros for what the system does not tell.
[[nodiscard]] Resources read_resources();

}  // namespace ldmpi
