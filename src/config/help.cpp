#include "config/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <sstream>

#include "config/options.h"

namespace ldmpi::config {
namespace {

namespace po = boost::program_options;

constexpr unsigned kWidth = 112;
constexpr unsigned kDescriptionWidth = 62;

std::string default_of(const Option& option) {
  if (!option.default_note.empty()) return option.default_note;
  return option.text();
}

std::string alias_names(const Option& option) {
  std::vector<std::string> names;
  for (const Alias& alias : option.aliases) names.push_back(alias.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// The options of each heading, in the order of the table.
template <typename Visit>
void for_each_group(const OptionTable& table, Visit&& visit) {
  std::vector<std::string> done;
  for (const Option& first : table.options()) {
    if (std::find(done.begin(), done.end(), first.group) != done.end()) continue;
    done.push_back(first.group);
    std::vector<const Option*> rows;
    for (const Option& option : table.options()) {
      if (option.group == first.group) rows.push_back(&option);
    }
    visit(first.group, rows);
  }
}

std::string described(const Option& option) {
  std::string text = option.help;
  if (!option.aliases.empty()) text += fmt::format(" (also: {})", alias_names(option));
  const std::string value = default_of(option);
  if (!value.empty() && !option.general) text += fmt::format(" [{}]", value);
  return text;
}

/// Text inside a table: the bar must not end the cell.
std::string cell(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '|') result += '\\';
    result += c;
  }
  return result;
}

void markdown_rows(const std::vector<const Option*>& rows, std::string& text) {
  text += "| option | default | meaning |\n|---|---|---|\n";
  for (const Option* option : rows) {
    const std::string name = option->positional ? option->value : fmt::format("{} {}", option->key, option->value);
    const std::string value = option->general ? "" : default_of(*option);
    text += fmt::format("| `{}` | {} | {}{} |\n", cell(name), cell(value), cell(option->help),
                        option->aliases.empty() ? "" : fmt::format("; alias `{}`", alias_names(*option)));
  }
  text += '\n';
}

constexpr const char* kMarkdownHead = R"(# Options

This page is printed by `ldmpi --help_markdown` from the option tables of the program; a test compares them.

A value comes from the first of these that has it:

1. the command line: `--section.key value`, `--section.key=value`, or a plain `section.key=value`; a switch alone
   means on;
2. the environment: `LDMPI_` and the key in capitals, `__` for the dot: `LDMPI_BATCH_SIZE`, `LDMPI_DATA__PATH`;
3. files named by `--config` (or `LDMPI_CONFIG`, one file); of several files the last that has it;
4. the default.

In keys `-` is read as `_`. A file holds `key = value` lines, first those of the run level, then `[section]` by
section; `#` after a blank and `;` at the start of a line begin a comment; a value that holds such characters stands
in double quotes. A list is given by repeating the option; where its elements are names, also separated by commas.
Relative paths count from the working directory. Options of other commands in a file or in the environment are passed
over. A key that no command knows is refused, as are a value of the wrong type or range, an option given twice in one
place and options that contradict each other: all problems are listed with their place, and the exit code is 78.

`--print_config` prints every option with its value and where it comes from; the output is a valid configuration file.

Environment names with the prefix that are no options: `LDMPI_HOME`, `LDMPI_SOURCE_DIR`, `LDMPI_BINARY_DIR`,
`LDMPI_PLUGIN_DIR` and `LDMPI_TEST_...`.

The batch obeys `total_batch_size = num_gpus x batch_size x accumulation`. With total_batch_size alone, accumulation
is 1 and batch_size follows; with batch_size too, accumulation follows. A remainder is refused.

Aliases are the names of diffusers' text-to-image script; some of its words have another name here:
`mixed_precision no` is `precision fp32`, `resume_from_checkpoint latest` is `resume auto`, and
`lr_scheduler constant_with_warmup` is `schedule.name constant`.
)";

}  // namespace

std::string program_help() {
  std::string text = "ldmpi trains latent-diffusion U-Nets on clusters.\n\nusage: ldmpi COMMAND [options]\n\n";
  for (CommandConfig config : all_commands()) {
    const OptionTable table = table_of(config);
    text += fmt::format("  {:<9} {}\n", table.command(), table.about());
  }
  return text +
         "\nldmpi COMMAND --help describes the options of a command; ldmpi --version names every library.\n"
         "Outside a launcher --num_gpus N starts N ranks; inside mpirun or srun the launcher's ranks are used.\n";
}

std::string command_help(const OptionTable& table, bool all) {
  std::ostringstream text;
  text << "ldmpi " << table.command() << ' ' << table.about() << "\n\nusage: ldmpi " << table.usage() << "\n\n";
  for (const std::string& example : table.examples()) text << "  " << example << '\n';
  for_each_group(table, [&](const std::string& name, const std::vector<const Option*>& rows) {
    po::options_description group(name, kWidth, kDescriptionWidth);
    for (const Option* option : rows) {
      if (option->advanced && !all) continue;
      auto* semantic = po::value<std::string>()->value_name(option->value);
      group.add_options()(option->key.c_str(), semantic, described(*option).c_str());
    }
    if (!group.options().empty()) text << '\n' << group;
  });
  if (!all) text << "\n--help=all also shows the rarely used options.\n";
  return text.str();
}

std::string options_markdown() {
  General general;
  OptionTable common("", "", "");
  add_general(common, general);
  std::string text = kMarkdownHead;
  text += "\n## Every command\n\n";
  for_each_group(common,
                 [&](const std::string&, const std::vector<const Option*>& rows) { markdown_rows(rows, text); });
  for (CommandConfig config : all_commands()) {
    const OptionTable table = table_of(config);
    text += fmt::format("## ldmpi {}\n\n`ldmpi {}` {}.\n\n", table.command(), table.usage(), table.about());
    for_each_group(table, [&](const std::string& name, const std::vector<const Option*>& rows) {
      if (table.command() == "train") text += fmt::format("### {}\n\n", name);
      markdown_rows(rows, text);
    });
  }
  while (text.ends_with("\n\n")) text.pop_back();
  return text;
}

}  // namespace ldmpi::config
