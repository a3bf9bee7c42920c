#pragma once
// Memory of an arena on the host.

#include <memory>

#include "backend/kernel.h"

namespace ldmpi::backend::cpu {

/// Zero-filled memory at a 2 MiB boundary, in huge pages where the system has them, every page present before the
/// return (touched by all threads, so that pages lie near the cores that use them). Throws Error(NoDevice) naming
/// the bytes wanted and free.
[[nodiscard]] std::unique_ptr<Memory> allocate_memory(std::size_t bytes);

/// Bytes that this process can still get: what the machine has available, and less if its control group allows less.
[[nodiscard]] std::size_t available_memory();

}  // namespace ldmpi::backend::cpu
