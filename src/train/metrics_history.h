#pragma once
// metrics.jsonl read back: for a resumed run, which drops what will be trained again, and for the report.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ldmpi::train {

/// Removes the lines of steps after `restored_step` and torn lines; the file is replaced atomically if anything goes.
/// Returns the highest restart number found, 0 if none; nothing happens to an absent file.
/// Errors: NoPermission, CannotCreate, IoError.
int drop_history_after(const std::filesystem::path& file, std::int64_t restored_step);

struct History {
  using Series = std::vector<std::pair<std::int64_t, double>>;  ///< (step, value) in the order of the file
  std::map<std::string, Series> series;                         ///< every key with numbers, but step and time
  std::vector<std::int64_t> restarts;                           ///< steps from which the run was resumed
};

/// Lines that are not JSON objects with a step are left out. Errors: MissingInput, NoPermission, IoError.
[[nodiscard]] History read_history(const std::filesystem::path& file);

}  // namespace ldmpi::train
