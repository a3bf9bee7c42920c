#include "config/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <filesystem>
#include <fstream>

#include "config/parse_detail.h"

namespace ldmpi::config {
namespace {

namespace po = boost::program_options;

constexpr std::size_t kLargestFile = 1024 * 1024;

/// Reads at most a little more than kLargestFile: the name may be a pipe or a device without end.
std::optional<std::string> read_file(const std::string& name, Faults& faults) {
  std::error_code error;
  if (std::filesystem::is_directory(name, error)) {
    faults.add(name, "is a folder, not a configuration file");
    return {};
  }
  std::ifstream stream(name, std::ios::binary);
  if (!stream) {
    faults.add(name, "the configuration file cannot be opened; check the path given with --config");
    return {};
  }
  std::string content(kLargestFile + 1, '\0');
  stream.read(content.data(), static_cast<std::streamsize>(content.size()));
  content.resize(static_cast<std::size_t>(stream.gcount()));
  if (content.size() > kLargestFile) faults.add(name, "larger than 1 MiB; is this a configuration file?");
  return content;
}

/// Adds one source below those already stored: Program_options keeps the value that was stored first.
void store(const po::options_description& description, const std::vector<Given>& source, po::variables_map& values,
           Sources& sources) {
  po::parsed_options parsed(&description);
  for (const Given& given : source) parsed.options.emplace_back(given.key, std::vector<std::string>{given.value});
  po::store(parsed, values);
  for (const Given& given : source) sources.emplace(given.key, given.where);
}

void assign(const Option& option, const std::vector<std::string>& texts) {
  std::vector<std::string> parts;
  for (const std::string& text : texts) {
    for (std::string& part : option.elements(text)) parts.push_back(std::move(part));
  }
  option.assign(parts);
}

}  // namespace

std::shared_ptr<po::options_description> describe(const OptionTable& table) {
  auto description = std::make_shared<po::options_description>();
  for (const Option& option : table.options()) {
    description->add_options()(option.key.c_str(), po::value<std::vector<std::string>>(), option.help.c_str());
  }
  return description;
}

std::string unknown_key(const OptionTable& table, const OwnerOf& owner_of, std::string_view name,
                        const std::string& shown) {
  if (const std::string owner = owner_of ? owner_of(canonical(name)) : ""; !owner.empty()) {
    return fmt::format("{} is an option of ldmpi {}, not of ldmpi {}", shown, owner, table.command());
  }
  const std::string near = table.nearest(name);
  const std::string dashes = shown.starts_with("--") ? "--" : "";
  return fmt::format(
      "unknown option {}{}", shown.substr(0, 80),
      near.empty() ? "; ldmpi " + table.command() + " --help=all lists all" : "; did you mean " + dashes + near + "?");
}

std::string meaning(const Option& option, const Alias* alias, const std::string& value) {
  for (const Synonyms* synonyms : {&option.synonyms, alias ? &alias->values : nullptr}) {
    if (!synonyms) continue;
    for (const auto& [word, meant] : *synonyms) {
      if (value == word) return meant;
    }
  }
  return value;
}

void refuse_repetitions(const OptionTable& table, std::vector<Given>& given, Faults& faults) {
  std::map<std::string, const Given*> first;
  std::vector<Given> kept;
  kept.reserve(given.size());
  for (const Given& one : given) {
    const auto [earlier, is_first] = first.emplace(one.key, &one);
    if (is_first || table.find(one.key)->repeatable) {
      kept.push_back(one);
    } else if (one.where != earlier->second->where || one.value != earlier->second->value) {
      faults.add(one.where, fmt::format("{} is given twice: '{}' and, at {}, '{}'; keep one of them", one.key,
                                        one.value, earlier->second->where, earlier->second->value));
    }
  }
  given = std::move(kept);
}

void assign_all(OptionTable& table, const std::vector<Given>& given) {
  std::map<std::string, std::vector<std::string>> texts;
  for (const Given& one : given) texts[one.key].push_back(one.value);
  for (const auto& [key, values] : texts) assign(*table.find(key), values);
}

Sources fill(OptionTable& table, const OwnerOf& owner_of, const Words& words, const Environment& environment,
             Faults& faults) {
  const auto description = describe(table);
  po::variables_map values;
  Sources sources;
  store(*description, read_words(table, owner_of, words, faults), values, sources);
  store(*description, read_environment(table, owner_of, environment, faults), values, sources);
  if (values.count("config") != 0) {
    auto files = values["config"].as<std::vector<std::string>>();
    std::reverse(files.begin(), files.end());
    for (const std::string& file : files) {
      const auto content = read_file(file, faults);
      if (content) store(*description, read_ini(table, owner_of, file, *content, faults), values, sources);
    }
  }
  for (const Option& option : table.options()) {
    if (values.count(option.key) != 0) assign(option, values[option.key].as<std::vector<std::string>>());
  }
  return sources;
}

}  // namespace ldmpi::config
