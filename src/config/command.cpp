// From the words after the program's name to the configuration of one command.
#include <fmt/format.h>

#include <algorithm>

#include "config/help.h"
#include "config/options.h"
#include "config/parse.h"
#include "config/validate.h"

namespace ldmpi::config {
namespace {

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (CommandConfig config : all_commands()) names.push_back(table_of(config).command());
  return names;
}

CommandConfig command_named(const std::string& name) {
  for (CommandConfig config : all_commands()) {
    if (table_of(config).command() == name) return config;
  }
  const std::string near = nearest_of(name, command_names());
  fail(Exit::BadConfig, "unknown command '{}'{}\nThe commands are: {}; ldmpi --help describes them.", name,
       near.empty() ? "" : "; did you mean " + near + "?", fmt::join(command_names(), ", "));
}

/// The command other than `self` that has the option, "" if none has.
std::string owner_of(const std::string& self, std::string_view key) {
  for (CommandConfig config : all_commands()) {
    const OptionTable table = table_of(config);
    const Option* option = table.find(key);
    if (option && !option->positional && table.command() != self) return table.command();
  }
  return {};
}

ParsedCommand text_only(std::string text) {
  ParsedCommand parsed;
  parsed.output = std::move(text);
  return parsed;
}

}  // namespace

ParsedCommand parse_command_line(const Words& words, const Environment& environment) {
  require(!words.empty(), Exit::BadConfig, "no command given\n{}", program_help());
  const std::string& name = words[0];
  if (name == "--help" || name == "-h" || (name == "help" && words.size() == 1)) return text_only(program_help());
  if (canonical(name) == "__help_markdown") return text_only(options_markdown());
  if (name == "help") return parse_command_line({words[1], "--help"}, environment);
  ParsedCommand parsed;
  if (name == "--version") {
    parsed.version = true;
    return parsed;
  }
  parsed.config = command_named(name);
  General general;
  OptionTable table = table_of(parsed.config);
  add_general(table, general);
  const auto owner = [&name](std::string_view key) { return owner_of(name, key); };
  Faults faults;
  parsed.sources = fill(table, owner, {words.begin() + 1, words.end()}, environment, faults);
  if (general.help != Help::No) return text_only(command_help(table, general.help == Help::All));
  if (faults.empty()) {
    if (!general.print_config) find_missing(parsed.config, faults);
    find_contradictions(parsed.config, faults);
  }
  faults.throw_if_any(fmt::format("ldmpi {} --help=all describes every option.", name));
  parsed.print_config = general.print_config;
  return parsed;
}

ParsedCommand parse_command_line(int argc, const char* const* argv) {
  return parse_command_line(Words(argv + std::min(argc, 1), argv + argc), process_environment());
}

}  // namespace ldmpi::config
