#pragma once
// Whether this machine has GPUs for this process, as far as the system tells without the driver's library.

#include <filesystem>
#include <optional>
#include <string>

namespace ldmpi::app {

struct GpuPresence {
  int nodes = 0;         ///< GPUs that this process may open
  std::string why_none;  ///< where there are none: what the system says
};

/// Counts the device nodes nvidia0, nvidia1, ... of `devices` (and WSL's dxg) that may be opened; none count where
/// `visible`, the value of CUDA_VISIBLE_DEVICES, shows none.
[[nodiscard]] GpuPresence find_gpus(const std::optional<std::string>& visible,
                                    const std::filesystem::path& devices = "/dev");

}  // namespace ldmpi::app
