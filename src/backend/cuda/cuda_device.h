#pragma once
// One GPU as a backend::Device.

#include <memory>
#include <string>

#include "backend/cuda/engines.h"
#include "backend/kernel.h"

namespace ldmpi::backend::cuda {

/// GPUs that the driver shows to this process. Throws Error(NoDevice) with the driver's reason.
[[nodiscard]] int device_count();

/// Takes GPU `index` for the calling thread. Throws Error(NoDevice) where it cannot be used, or is older than compute
/// capability 8.0.
[[nodiscard]] std::unique_ptr<Device> make_device(int index, const EngineOptions& options);

}  // namespace ldmpi::backend::cuda
