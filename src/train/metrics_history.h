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

/// An event "start".
struct HistoryStart {
  std::int64_t step = 0;  ///< steps done before
  double time = 0;        ///< seconds since 1970
  std::int64_t ranks = 0;
  std::int64_t last_step = 0;
  std::vector<std::string> hosts;
  std::string device;
  std::string config;  ///< as config.cfg
};

struct History {
  using Series = std::vector<std::pair<std::int64_t, double>>;  ///< (step, value) in the order of the file
  std::map<std::string, Series> series;                         ///< every key with numbers, but step and time, of starts none
  std::vector<std::int64_t> restarts;                           ///< steps from which the run was resumed
  std::vector<HistoryStart> starts;
  std::map<std::string, std::map<std::string, std::int64_t>> maxima;  ///< "compute_ms": "rank 3 on n2": times the greatest
};

/// Lines that are not JSON objects with a step are left out. Errors: MissingInput, NoPermission, IoError.
[[nodiscard]] History read_history(const std::filesystem::path& file);

}  // namespace ldmpi::train
