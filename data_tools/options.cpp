#include "options.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "base/check.h"
#include "config/option_table.h"

namespace ldmpi::data_tools {
namespace {

template <typename T>
bool parse_number(std::string_view text, T& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

/// Puts the text into the target; false if it does not fit the type.
bool assign(const Options::Target& target, std::string_view text) {
  if (auto* const* out = std::get_if<std::string*>(&target)) return (**out = text, true);
  if (auto* const* out = std::get_if<std::int64_t*>(&target)) return parse_number(text, **out);
  if (auto* const* out = std::get_if<double*>(&target)) return parse_number(text, **out);
  if (auto* const* out = std::get_if<std::optional<double>*>(&target)) return parse_number(text, (*out)->emplace());
  bool& flag = *std::get<bool*>(target);
  flag = text == "true" || text == "on" || text == "1";
  return flag || text == "false" || text == "off" || text == "0";
}

/// The default for the help; nothing where 0 stands for "not given".
std::string text_of(const Options::Target& target) {
  if (auto* const* in = std::get_if<std::string*>(&target)) return **in;
  if (auto* const* in = std::get_if<std::int64_t*>(&target)) return **in == 0 ? "" : fmt::to_string(**in);
  if (auto* const* in = std::get_if<double*>(&target)) return fmt::to_string(**in);
  return "";
}

std::string with_underscores(std::string_view name) {
  std::string out(name);
  std::ranges::replace(out, '-', '_');
  return out;
}

}  // namespace

void Options::add(std::string name, Target target, std::string value_name, std::string help, Need need) {
  options_.push_back(
      {std::move(name), target, std::move(value_name), std::move(help), need, false, false, text_of(target)});
}

void Options::add_positional(std::string name, std::string& target, std::string help, Need need) {
  options_.push_back({std::move(name), &target, "", std::move(help), need, true, false, ""});
}

Options::Option* Options::find(std::string_view name) {
  const auto found = std::ranges::find(options_, with_underscores(name), &Option::name);
  return found == options_.end() ? nullptr : &*found;
}

bool Options::parse(std::span<const std::string_view> arguments) {
  std::vector<std::string> problems;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    if (word == "--help" || word == "-h") {
      fmt::print("{}", help());
      return false;
    }
    if (!word.starts_with("--")) {
      const auto free = std::ranges::find_if(options_, [](const Option& o) { return o.positional && !o.given; });
      if (free == options_.end()) {
        problems.push_back(fmt::format("\"{}\" belongs to no option", word));
        continue;
      }
      free->given = assign(free->target, word);
      continue;
    }
    const auto equals = word.find('=');
    const std::string_view name = word.substr(2, equals == std::string_view::npos ? equals : equals - 2);
    Option* option = find(name);
    if (option == nullptr) {
      std::vector<std::string> names;
      for (const auto& known : options_) names.push_back(known.name);
      const std::string nearest = config::nearest_of(with_underscores(name), names);
      problems.push_back(
          fmt::format("unknown option --{}{}", name, nearest.empty() ? "" : ", did you mean --" + nearest + "?"));
      // Its value, if it has one, is not a second problem.
      if (equals == std::string_view::npos && i + 1 < arguments.size() && !arguments[i + 1].starts_with("--")) ++i;
      continue;
    }
    std::string_view value = "true";
    if (equals != std::string_view::npos)
      value = word.substr(equals + 1);
    else if (!std::holds_alternative<bool*>(option->target)) {
      if (i + 1 == arguments.size() || arguments[i + 1].starts_with("--")) {
        problems.push_back(fmt::format("--{} needs a value", name));
        continue;
      }
      value = arguments[++i];
    }
    if (option->given) problems.push_back(fmt::format("--{} is given twice", name));
    option->given = true;
    if (!assign(option->target, value))
      problems.push_back(fmt::format("--{}: \"{}\" is not a {}", name, value,
                                     std::holds_alternative<std::int64_t*>(option->target) ? "whole number"
                                     : std::holds_alternative<bool*>(option->target)       ? "switch (on or off)"
                                                                                           : "number"));
  }
  for (const auto& option : options_)
    if (option.need == Required && !option.given)
      problems.push_back(fmt::format("{}{} is missing: {}", option.positional ? "" : "--", option.name, option.help));
  if (problems.empty()) return true;
  std::string text;
  for (const auto& problem : problems) text += "\n  " + problem;
  fail(Exit::BadConfig, "wrong options:{}\nAll options: ldmpi-data {} --help", text, command_);
}

std::string Options::help() const {
  std::string usage = fmt::format("usage: ldmpi-data {}", command_);
  std::string lines;
  for (const auto& option : options_) {
    const std::string left = option.positional ? option.name : fmt::format("--{} {}", option.name, option.value_name);
    if (option.positional)
      usage += option.need == Required ? " " + option.name : " [" + option.name + "]";
    else if (option.need == Required)
      usage += " " + left;
    std::string right = option.help;
    if (option.need == Required)
      right += " (required)";
    else if (!option.fallback.empty())
      right += fmt::format(" (default {})", option.fallback);
    lines += fmt::format("  {:<28} {}\n", left, right);
  }
  return fmt::format("{} [options]\n{}\n\n{}", usage, purpose_, lines);
}

Shape parse_shape(std::string_view text, int rank, std::string_view option) {
  std::vector<std::int64_t> extents;
  for (const auto& part : split(text, 'x')) {
    std::int64_t extent = 0;
    require(parse_number(part, extent) && extent > 0 && extent < (1 << 24), Exit::BadConfig,
            "--{}: \"{}\" is not of the form {}", option, text, rank == 3 ? "4x16x16" : "8x32");
    extents.push_back(extent);
  }
  require(static_cast<int>(extents.size()) == rank, Exit::BadConfig, "--{}: \"{}\" needs {} numbers, such as {}",
          option, text, rank, rank == 3 ? "4x16x16" : "8x32");
  return Shape(std::span<const std::int64_t>(extents));
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace ldmpi::data_tools
