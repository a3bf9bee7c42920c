#pragma once
// From words, environment and files to a filled configuration. Precedence: command line, then environment
// (LDMPI_SECTION__KEY), then --config files (a later file wins), then defaults.

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "config/config.h"
#include "config/faults.h"
#include "config/option_table.h"

namespace ldmpi::config {

using Words = std::vector<std::string>;
using Environment = std::vector<std::pair<std::string, std::string>>;
/// Key -> where its value comes from: "command line", "environment LDMPI_SEED", "job.cfg:12"; absent: default.
using Sources = std::map<std::string, std::string>;

/// One setting as found in a source, with its key in canonical form.
struct Given {
  std::string key, value, where;
};

/// The environment of this process.
[[nodiscard]] Environment process_environment();

/// The other command of the program that has an option of this key, "" if none has. Shared files and environments may
/// hold such options, and they are passed over.
using OwnerOf = std::function<std::string(std::string_view key)>;

// The three sources. Each appends what is wrong to `faults` and returns what is right.
[[nodiscard]] std::vector<Given> read_words(const OptionTable& table, const OwnerOf& owner_of, const Words& words,
                                            Faults& faults);
[[nodiscard]] std::vector<Given> read_environment(const OptionTable& table, const OwnerOf& owner_of,
                                                  const Environment& environment, Faults& faults);
/// `content`: the file's bytes; `name`: how messages call it.
[[nodiscard]] std::vector<Given> read_ini(const OptionTable& table, const OwnerOf& owner_of, const std::string& name,
                                          const std::string& content, Faults& faults);

/// Sets the fields of `table` from settings of one source; fields not named stay as they are.
void assign_all(OptionTable& table, const std::vector<Given>& given);

/// Fills the fields of `table` from all sources (files: those of `--config`, if the table has that option).
/// For programs with a table of their own, whose file option is a std::vector<std::string> under the key "config"; the
/// commands of ldmpi use parse_command_line().
[[nodiscard]] Sources fill(OptionTable& table, const OwnerOf& owner_of, const Words& words,
                           const Environment& environment, Faults& faults);

enum class Help : std::uint8_t { No, Groups, All };

template <>
struct Names<Help> {
  static constexpr std::array<std::string_view, 3> list{"no", "groups", "all"};
};

/// What steers the parser itself; every command has these options.
struct General {
  std::vector<std::string> config;
  bool print_config = false;
  Help help = Help::No;
};

/// A command of ldmpi is the type of its configuration.
using CommandConfig =
    std::variant<TrainConfig, PlanConfig, ProbeConfig, SampleConfig, ConvertConfig, BenchConfig, ReportConfig,
                 TopConfig>;

struct ParsedCommand {
  CommandConfig config;
  Sources sources;
  bool print_config = false;          ///< the caller prints config_text() (print.h) after resolve() and ends
  bool version = false;               ///< the caller prints its versions and ends
  std::optional<std::string> output;  ///< set (help): print it on stdout and end with code 0
};

/// Parses and validates `words`, the arguments after the program's name: "train --seed 7 optimizer.beta1=0.95".
/// Every problem is collected; throws Error(BadConfig) that lists them all.
[[nodiscard]] ParsedCommand parse_command_line(const Words& words, const Environment& environment);
[[nodiscard]] ParsedCommand parse_command_line(int argc, const char* const* argv);

}  // namespace ldmpi::config
