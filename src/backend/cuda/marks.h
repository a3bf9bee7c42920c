#pragma once
// Marks that a GPU leaves in memory of the host.

#include <memory>

#include "backend/cuda/host.h"

namespace ldmpi::backend::cuda {

/// set() enqueues on `stream`. The clock counts nanoseconds on most cards, in steps of a microsecond on some.
[[nodiscard]] std::unique_ptr<Marks> make_device_marks(std::size_t count, Stream stream);

}  // namespace ldmpi::backend::cuda
