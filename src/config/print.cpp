#include "config/print.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/options.h"

namespace ldmpi::config {
namespace {

std::string section_of(const std::string& key) {
  const std::size_t dot = key.find('.');
  return dot == std::string::npos ? "" : key.substr(0, dot);
}

/// The rows of a configuration file: the run level first, then section by section.
std::vector<const Option*> in_file_order(const OptionTable& table) {
  std::vector<std::string> sections{""};
  for (const Option& option : table.options()) {
    const std::string section = section_of(option.key);
    if (std::find(sections.begin(), sections.end(), section) == sections.end()) sections.push_back(section);
  }
  std::vector<const Option*> rows;
  for (const std::string& section : sections) {
    for (const Option& option : table.options()) {
      if (!option.general && !option.positional && section_of(option.key) == section) rows.push_back(&option);
    }
  }
  return rows;
}

std::string quoted(const std::string& text) {
  const bool plain = text.find_first_of("#\"") == std::string::npos && text.front() != ' ' && text.front() != '\t' &&
                     text.back() != ' ' && text.back() != '\t';
  if (plain) return text;
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

/// `line(option, text)` gives one line per value.
template <typename Line>
std::string as_file(const OptionTable& table, Line&& line) {
  std::string text, section;
  for (const Option* option : in_file_order(table)) {
    const std::vector<std::string> values = option->texts();
    if (values.empty()) continue;
    if (section_of(option->key) != section) {
      section = section_of(option->key);
      text += fmt::format("\n[{}]\n", section);
    }
    for (const std::string& value : values) text += line(*option, quoted(value));
  }
  return text;
}

std::string short_key(const std::string& key) {
  return key.substr(key.find('.') + 1);
}

}  // namespace

std::string to_ini(const OptionTable& table) {
  return as_file(table, [](const Option& option, const std::string& value) {
    return fmt::format("{} = {}\n", short_key(option.key), value);
  });
}

std::string to_ini(const TrainConfig& config) {
  TrainConfig copy = config;
  return to_ini(table_of(copy));
}

TrainConfig from_ini(const std::string& content, const std::string& name) {
  TrainConfig config;
  OptionTable table = table_of(config);
  Faults faults;
  assign_all(table, read_ini(table, {}, name, content, faults));
  faults.throw_if_any("The file is a configuration as ldmpi train --print_config prints it.");
  return config;
}

std::string config_text(const OptionTable& table, const Sources& sources) {
  return as_file(table, [&sources](const Option& option, const std::string& value) {
    const auto source = sources.find(option.key);
    return fmt::format("{:<48}  # {}\n", fmt::format("{} = {}", short_key(option.key), value),
                       source == sources.end() ? "default" : source->second);
  });
}

std::string config_text(const ParsedCommand& parsed) {
  CommandConfig copy = parsed.config;
  return config_text(table_of(copy), parsed.sources);
}

std::vector<ConfigChange> diff(const TrainConfig& old_config, const TrainConfig& new_config) {
  TrainConfig before = old_config, after = new_config;
  const OptionTable old_table = table_of(before), new_table = table_of(after);
  std::vector<ConfigChange> changes;
  for (std::size_t i = 0; i < old_table.options().size(); ++i) {
    const Option& was = old_table.options()[i];
    const Option& is = new_table.options()[i];
    if (was.texts() != is.texts()) changes.push_back({was.key, was.text(), is.text(), was.change});
  }
  return changes;
}

std::vector<ConfigChange> refused(const std::vector<ConfigChange>& changes, const std::vector<std::string>& allowed) {
  TrainConfig scratch;
  const OptionTable table = table_of(scratch);
  std::vector<ConfigChange> result;
  for (const ConfigChange& change : changes) {
    const bool named = std::any_of(allowed.begin(), allowed.end(), [&](const std::string& name) {
      const Option* option = table.find(name);
      return option && option->key == change.key;
    });
    if (change.change == Change::Fixed && !named) result.push_back(change);
  }
  return result;
}

}  // namespace ldmpi::config
