#pragma once
// The configuration as text, and the comparison of two of them.

#include <string>
#include <vector>

#include "config/config.h"
#include "config/option_table.h"
#include "config/parse.h"

namespace ldmpi::config {

/// Everything that is set or has a default, as an INI file that --config reads back to an equal configuration.
/// This is RUN/config.cfg.
[[nodiscard]] std::string to_ini(const TrainConfig& config);
[[nodiscard]] std::string to_ini(const OptionTable& table);

/// Reads text written by to_ini (`name`: its file, for messages). Throws Error(BadConfig) listing every problem.
[[nodiscard]] TrainConfig from_ini(const std::string& content, const std::string& name);

/// --print_config: one line per option with value and source, itself a valid configuration file.
[[nodiscard]] std::string config_text(const ParsedCommand& parsed);
[[nodiscard]] std::string config_text(const OptionTable& table, const Sources& sources);

struct ConfigChange {
  std::string key, old_value, new_value;
  Change change;
};

/// The options whose values differ, in the order of the table. Compare resolved configurations (resolve.h).
[[nodiscard]] std::vector<ConfigChange> diff(const TrainConfig& old_config, const TrainConfig& new_config);

/// Those of `changes` that a resume must refuse: Fixed and not named in `allowed`.
[[nodiscard]] std::vector<ConfigChange> refused(const std::vector<ConfigChange>& changes,
                                                const std::vector<std::string>& allowed);

}  // namespace ldmpi::config
