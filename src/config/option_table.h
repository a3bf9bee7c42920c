#pragma once
// The option table: one row per option, bound to the field it fills. Parsing, help, docs/options.md, --print_config,
// config.cfg and the comparison of two configurations all read these rows and nothing else.

#include <cmath>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/value.h"

namespace ldmpi::config {

/// May the option differ when a run is resumed?
enum class Change : std::uint8_t {
  Free,     ///< yes
  Content,  ///< the path may; what it holds may not (the trainer compares fingerprints)
  Fixed,    ///< only if resume.allow names the key
};

/// Words that may stand for a value, and the value that each means.
using Synonyms = std::vector<std::pair<std::string, std::string>>;

struct Alias {
  std::string name;
  Synonyms values;  ///< words of the other program
};

struct Option {
  std::string key;    ///< "section.key" or, for the run level, "key"
  std::string group;  ///< heading in the help
  std::string help;
  std::string value;         ///< placeholder in the help, e.g. N or on|off
  std::string default_note;  ///< printed instead of the default where that is worked out later
  std::string implicit;      ///< value of the bare option; empty: a value must follow
  std::vector<Alias> aliases;
  Synonyms synonyms;  ///< under any name
  bool repeatable = false;
  bool comma_separated = false;
  bool advanced = false;        ///< only in --help=all
  bool positional = false;      ///< given by place: ldmpi report RUN
  bool empty_is_value = false;  ///< "" is a value, not a slip
  bool general = false;         ///< steers the parser (--help, --config): no part of a saved configuration
  Change change = Change::Free;
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  bool below_maximum = false;  ///< the maximum itself is out of range

  std::function<std::optional<std::string>(const std::string&)> check;  ///< why a text is no value, or nothing
  std::function<void(const std::vector<std::string>&)> assign;          ///< sets the field from checked texts
  std::function<std::vector<std::string>()> texts;                      ///< the field as text; empty: no value

  Option& shows(std::string placeholder) { return value = std::move(placeholder), *this; }
  Option& also(std::string name, Synonyms values = {}) {
    return aliases.push_back({std::move(name), std::move(values)}), *this;
  }
  Option& word(std::string synonym, std::string meant) {
    return synonyms.emplace_back(std::move(synonym), std::move(meant)), *this;
  }
  Option& at_least(double bound) { return minimum = bound, *this; }
  Option& at_most(double bound) { return maximum = bound, *this; }
  Option& below(double bound) { return maximum = bound, below_maximum = true, *this; }
  Option& within(double low, double high) { return at_least(low).at_most(high); }
  Option& positive() { return within(1, 1e9); }
  Option& rare() { return advanced = true, *this; }
  Option& fixed() { return change = Change::Fixed, *this; }
  Option& content() { return change = Change::Content, *this; }
  Option& by_default(std::string note) { return default_note = std::move(note), *this; }
  Option& by_place() { return positional = true, *this; }
  Option& bare(std::string text) { return implicit = std::move(text), *this; }
  Option& or_empty() { return empty_is_value = true, *this; }
  Option& commas() { return comma_separated = true, *this; }

  /// Why `text` cannot be the value (type, range, control characters); nothing if it can.
  [[nodiscard]] std::optional<std::string> fault(const std::string& text) const;
  /// `text` taken apart at its commas, where the option is a list written so; else `text` alone.
  [[nodiscard]] std::vector<std::string> elements(const std::string& text) const;
  /// The default or current value as one line of text; "" if there is none.
  [[nodiscard]] std::string text() const;
};

/// The table of one command. It refers to the fields of a configuration that must outlive it.
class OptionTable {
 public:
  /// `usage`: what follows the program's name, e.g. "train [options]".
  OptionTable(std::string command, std::string usage, std::string about, std::vector<std::string> examples = {})
      : command_(std::move(command)),
        usage_(std::move(usage)),
        about_(std::move(about)),
        examples_(std::move(examples)) {}

  /// Options added from here on stand under this heading.
  void group(std::string name) { group_ = std::move(name); }

  template <typename T>
  Option& add(std::string key, T& field, std::string help) {
    Option& option = options_.emplace_back();
    option.key = std::move(key);
    option.group = group_;
    option.help = std::move(help);
    option.value = Value<T>::placeholder();
    option.repeatable = Value<T>::kList;
    if (Value<T>::kSwitch) option.implicit = "on";
    option.check = [](const std::string& text) {
      T scratch{};
      return Value<T>::read(text, scratch);
    };
    option.assign = [&field](const std::vector<std::string>& texts) {
      field = T{};
      for (const std::string& text : texts) Value<T>::read(text, field);
    };
    option.texts = [&field] { return Value<T>::write(field); };
    return option;
  }

  /// The option of that key or alias, `-` read as `_`; nullptr if there is none. `alias` receives the alias used.
  [[nodiscard]] const Option* find(std::string_view name, const Alias** alias = nullptr) const;
  /// The valid key (or alias) nearest to `name`; "" if nothing is near.
  [[nodiscard]] std::string nearest(std::string_view name) const;

  [[nodiscard]] const std::deque<Option>& options() const noexcept { return options_; }
  [[nodiscard]] const std::string& command() const noexcept { return command_; }
  [[nodiscard]] const std::string& usage() const noexcept { return usage_; }
  [[nodiscard]] const std::string& about() const noexcept { return about_; }
  [[nodiscard]] const std::vector<std::string>& examples() const noexcept { return examples_; }

 private:
  std::string command_, usage_, about_, group_;
  std::vector<std::string> examples_;
  std::deque<Option> options_;
};

/// `-` as `_` and lower case: the spelling of keys.
[[nodiscard]] std::string canonical(std::string_view name);
/// The candidate with the smallest edit distance to `word`, if that is small enough to be meant; else "".
[[nodiscard]] std::string nearest_of(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace ldmpi::config
