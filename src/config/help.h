#pragma once
// Help, printed from the option tables.

#include <string>

#include "config/option_table.h"

namespace ldmpi::config {

/// `ldmpi --help`: the commands.
[[nodiscard]] std::string program_help();
/// `ldmpi COMMAND --help`: the options by groups; the rarely used ones only with `all`.
[[nodiscard]] std::string command_help(const OptionTable& table, bool all);
/// The text of docs/options.md.
[[nodiscard]] std::string options_markdown();

}  // namespace ldmpi::config
