// The environment: LDMPI_BATCH_SIZE, LDMPI_DATA__PATH. Names with the prefix that mean nothing are refused, because
// they are mistyped options.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "config/parse.h"
#include "config/parse_detail.h"

namespace ldmpi::config {
namespace {

constexpr std::string_view kPrefix = "LDMPI_";
/// Names that are no options: they tell the build, the scripts and the tests where things are (docs/options.md).
constexpr std::array<std::string_view, 4> kOtherNames{"LDMPI_HOME", "LDMPI_SOURCE_DIR", "LDMPI_BINARY_DIR",
                                                      "LDMPI_PLUGIN_DIR"};
constexpr std::string_view kTestPrefix = "LDMPI_TEST_";

std::string key_of(std::string_view name) {
  const std::string words = canonical(name.substr(kPrefix.size()));
  std::string key;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool dot = words.compare(i, 2, "__") == 0;
    key += dot ? '.' : words[i];
    if (dot) ++i;
  }
  return key;
}

std::string name_for(std::string_view key) {
  std::string name(kPrefix);
  for (const char c : key) {
    if (c == '.') {
      name += "__";
    } else {
      name += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
  }
  return name;
}

}  // namespace

Environment process_environment() {
  Environment result;
  for (char** entry = environ; entry && *entry; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    result.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return result;
}

std::vector<Given> read_environment(const OptionTable& table, const OwnerOf& owner_of, const Environment& environment,
                                    Faults& faults) {
  std::vector<Given> result;
  for (const auto& [name, text] : environment) {
    if (!name.starts_with(kPrefix) || name.starts_with(kTestPrefix)) continue;
    if (std::find(kOtherNames.begin(), kOtherNames.end(), name) != kOtherNames.end()) continue;
    const std::string where = "environment " + name;
    const std::string key = key_of(name);
    const Alias* alias = nullptr;
    const Option* option = table.find(key, &alias);
    if (!option || option->positional || (option->general && option->key != "config")) {
      if (owner_of && !owner_of(key).empty()) continue;
      const std::string near = table.nearest(key);
      faults.add(where, near.empty() ? "no option has this name"
                                     : fmt::format("no option has this name; did you mean {}?", name_for(near)));
      continue;
    }
    const std::string value = meaning(*option, alias, text);
    if (const Why why = option->fault(value)) {
      faults.add(where, *why);
    } else {
      result.push_back({option->key, value, where});
    }
  }
  refuse_repetitions(table, result, faults);
  return result;
}

}  // namespace ldmpi::config
