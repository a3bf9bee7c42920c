#pragma once
// The options of one subcommand: typed, closed, with --help; unknown ones are refused with the nearest name.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/shape.h"

namespace ldmpi::data_tools {

/// Binds options to variables, whose values at the time of adding are the defaults. Used once:
///   Options options("synth", "makes a synthetic dataset");
///   options.add("out", out, "FOLDER", "where the shards go", Options::Required);
///   if (!options.parse(arguments)) return;   // --help was printed
class Options {
 public:
  enum Need { Optional, Required };
  using Target = std::variant<std::string*, std::int64_t*, double*, bool*, std::optional<double>*>;

  Options(std::string command, std::string purpose) : command_(std::move(command)), purpose_(std::move(purpose)) {}

  /// --name VALUE or --name=VALUE; for bool a bare --name sets true. '-' may stand for '_'.
  void add(std::string name, Target target, std::string value_name, std::string help, Need need = Optional);
  /// A word without a name; filled in order of adding. Also accepted as --name.
  void add_positional(std::string name, std::string& target, std::string help, Need need = Required);

  /// False if --help was asked for and printed on stdout. Errors: BadConfig, all problems in one message.
  [[nodiscard]] bool parse(std::span<const std::string_view> arguments);
  [[nodiscard]] std::string help() const;

 private:
  struct Option {
    std::string name;
    Target target;
    std::string value_name;
    std::string help;
    Need need;
    bool positional;
    bool given = false;
    std::string fallback;  ///< the default as text
  };
  [[nodiscard]] Option* find(std::string_view name);

  std::string command_;
  std::string purpose_;
  std::vector<Option> options_;
};

/// "4x16x16" as a shape of `rank` axes. Errors: BadConfig naming the option.
[[nodiscard]] Shape parse_shape(std::string_view text, int rank, std::string_view option);
/// The parts between commas.
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);

}  // namespace ldmpi::data_tools
