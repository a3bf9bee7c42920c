#include "base/control_group.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace ldmpi {
namespace {

namespace fs = std::filesystem;

/// A limit that stands for none: version 1 writes a number near 2^63.
constexpr std::int64_t kUnlimited = std::int64_t{1} << 60;

/// The folders of the group that holds this process, by either version, and of those around it, innermost first.
std::vector<fs::path> groups_of(const ControlGroupPlaces& places, std::string_view controller) {
  std::vector<fs::path> folders;
  std::ifstream membership(places.membership);
  for (std::string line; std::getline(membership, line);) {
    const auto first = line.find(':');
    const auto second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = controllers == ",,";
    if (!unified && controllers.find("," + std::string(controller) + ",") == std::string::npos) continue;
    const fs::path root = unified ? places.mount : places.mount / controller;
    for (fs::path group = fs::path(line.substr(second + 1)).relative_path();; group = group.parent_path()) {
      folders.push_back(root / group);
      if (group.empty()) break;
    }
  }
  return folders;
}

/// The number that a file begins with; nothing for "max", a missing file and a number that stands for no limit.
std::optional<std::int64_t> number_in(const fs::path& file) {
  std::ifstream stream(file);
  std::int64_t value = 0;
  if (stream >> value && value >= 0 && value < kUnlimited) return value;
  return {};
}

/// The number behind `key` in a file of "key value" lines; 0 without one.
std::int64_t number_behind(const fs::path& file, std::string_view key) {
  std::ifstream stream(file);
  std::string word;
  std::int64_t value = 0;
  while (stream >> word >> value)
    if (word == key) return value;
  return 0;
}

}  // namespace

std::optional<std::int64_t> control_group_memory(const ControlGroupPlaces& places) {
  std::optional<std::int64_t> least;
  const auto take = [&](std::optional<std::int64_t> limit, const fs::path& used_file, const fs::path& statistics,
                        std::string_view droppable) {
    if (!limit) return;
    const std::int64_t used = number_in(used_file).value_or(0);
    const std::int64_t rest =
        std::max<std::int64_t>(0, *limit - (used - std::min(used, number_behind(statistics, droppable))));
    least = std::min(least.value_or(rest), rest);
  };
  for (const auto& folder : groups_of(places, "memory")) {
    take(number_in(folder / "memory.max"), folder / "memory.current", folder / "memory.stat", "inactive_file");
    take(number_in(folder / "memory.limit_in_bytes"), folder / "memory.usage_in_bytes", folder / "memory.stat",
         "total_inactive_file");
  }
  return least;
}

std::optional<double> control_group_processors(const ControlGroupPlaces& places) {
  std::optional<double> least;
  const auto take = [&](std::optional<std::int64_t> quota, std::optional<std::int64_t> period) {
    if (!quota || !period || *quota <= 0 || *period <= 0) return;
    const double processors = static_cast<double>(*quota) / static_cast<double>(*period);
    least = std::min(least.value_or(processors), processors);
  };
  for (const auto& folder : groups_of(places, "cpu")) {
    std::ifstream both(folder / "cpu.max");
    std::int64_t quota = 0;
    std::int64_t period = 0;
    if (both >> quota >> period) take(quota, period);
    take(number_in(folder / "cpu.cfs_quota_us"), number_in(folder / "cpu.cfs_period_us"));
  }
  return least;
}

}  // namespace ldmpi
