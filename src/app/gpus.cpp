#include "app/gpus.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace ldmpi::app {
namespace {

bool is_gpu_node(const std::string& name) {
  constexpr std::string_view kPrefix = "nvidia";
  if (name == "dxg") return true;
  return name.size() > kPrefix.size() && name.starts_with(kPrefix) &&
         std::all_of(name.begin() + kPrefix.size(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

}  // namespace

GpuPresence find_gpus(const std::optional<std::string>& visible, const std::filesystem::path& devices) {
  // What Slurm and users write for "none".
  if (visible && (visible->empty() || *visible == "-1" || *visible == "NoDevFiles" || *visible == "none"))
    return {0, fmt::format("CUDA_VISIBLE_DEVICES is '{}'", *visible)};
  int there = 0;
  int open = 0;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(devices, ignored)) {
    if (!is_gpu_node(entry.path().filename())) continue;
    ++there;
    if (access(entry.path().c_str(), R_OK | W_OK) == 0) ++open;
  }
  if (open > 0) return {open, {}};
  if (there == 0) return {0, fmt::format("there is no NVIDIA device in {}", devices.string())};
  return {0, fmt::format("this process may open none of the {} NVIDIA devices in {} (not allotted by the batch system?)",
                         there, devices.string())};
}

}  // namespace ldmpi::app
