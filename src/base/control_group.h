#pragma once
// What the control groups of this process (containers, batch systems) leave it of the machine.

#include <cstdint>
#include <filesystem>
#include <optional>

namespace ldmpi {

/// Where the system tells about control groups of version 1 and 2.
struct ControlGroupPlaces {
  std::filesystem::path membership = "/proc/self/cgroup";
  std::filesystem::path mount = "/sys/fs/cgroup";
};

/// Bytes that may still be allocated: the least over this process's group and all groups around it. File pages that can
/// be dropped count as free. Nothing where no group has a limit.
[[nodiscard]] std::optional<std::int64_t> control_group_memory(const ControlGroupPlaces& places = {});

/// Processors' worth of time, e.g. 2.5; the least over the groups. Nothing where no group has a limit.
[[nodiscard]] std::optional<double> control_group_processors(const ControlGroupPlaces& places = {});

}  // namespace ldmpi
