// The command line. Keys are brought into their canonical spelling first, with every fault noted on the way; what
// remains is plain --key value and --key=value, which Program_options takes apart.
#include <fmt/format.h>

#include <boost/program_options.hpp>

#include "config/parse.h"
#include "config/parse_detail.h"

namespace ldmpi::config {
namespace {

namespace po = boost::program_options;

constexpr const char* kWhere = "command line";

class Normaliser {
 public:
  Normaliser(const OptionTable& table, const OwnerOf& owner_of, const Words& words, Faults& faults)
      : table_(table), owner_of_(owner_of), words_(words), faults_(faults) {
    for (const Option& option : table.options()) positionals_ += option.positional ? 1 : 0;
  }

  Words run() {
    for (next_ = 0; next_ < words_.size();) {
      const std::string& word = words_[next_++];
      if (word == "-h") {
        result_.emplace_back("--help=groups");
      } else if (word.starts_with("--") && word.size() > 2) {
        key_word(word.substr(2));
      } else if (word.starts_with("-") && word.size() > 1) {
        faults_.add(kWhere, fmt::format("unknown option {}: options begin with two dashes", word));
      } else {
        plain_word(word);
      }
    }
    return std::move(result_);
  }

 private:
  void key_word(const std::string& text) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    const Alias* alias = nullptr;
    const Option* option = table_.find(name, &alias);
    if (!option) {
      faults_.add(kWhere, unknown_key(table_, owner_of_, name, "--" + name));
      if (equals == std::string::npos && next_ < words_.size() && !words_[next_].starts_with("--") &&
          words_[next_].find('=') == std::string::npos) {
        ++next_;  // its value, which must not be taken for a stray word
      }
      return;
    }
    if (equals != std::string::npos) return put(*option, alias, name, text.substr(equals + 1));
    const bool has_next = next_ < words_.size();
    if (!option->implicit.empty()) {
      // Where words have a place of their own the next one may be such; else it is meant as the value, good or bad.
      const bool joined =
          has_next &&
          (!option->fault(meaning(*option, alias, words_[next_])) ||
           (positionals_ == 0 && !words_[next_].starts_with("--") && words_[next_].find('=') == std::string::npos));
      return put(*option, alias, name, joined ? words_[next_++] : option->implicit);
    }
    if (!has_next || words_[next_].starts_with("--")) {
      faults_.add(kWhere, fmt::format("--{} needs a value: --{} {}", name, name, option->value));
      return;
    }
    put(*option, alias, name, words_[next_++]);
  }

  void plain_word(const std::string& word) {
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    if (equals != std::string::npos && (table_.find(name) || positionals_ == 0)) return key_word(word);
    if (positionals_ > 0) {
      result_.push_back(word);
      return;
    }
    faults_.add(kWhere,
                fmt::format("unexpected word '{}': ldmpi {} takes --key value or key=value", word, table_.command()));
  }

  void put(const Option& option, const Alias* alias, const std::string& name, const std::string& value) {
    const std::string meant = meaning(option, alias, value);
    if (const auto why = option.fault(meant)) {
      faults_.add(kWhere, fmt::format("--{}: {}", name, *why));
      return;
    }
    if (meant.empty()) {  // which Boost does not take behind "="
      result_.insert(result_.end(), {"--" + option.key, ""});
    } else {
      result_.push_back("--" + option.key + "=" + meant);
    }
  }

  const OptionTable& table_;
  const OwnerOf& owner_of_;
  const Words& words_;
  Faults& faults_;
  int positionals_ = 0;
  std::size_t next_ = 0;
  Words result_;
};

}  // namespace

std::vector<Given> read_words(const OptionTable& table, const OwnerOf& owner_of, const Words& words, Faults& faults) {
  const Words plain = Normaliser(table, owner_of, words, faults).run();
  const auto description = describe(table);
  std::vector<Given> result;
  std::vector<std::string> by_place;
  for (const Option& option : table.options()) {
    if (option.positional) by_place.push_back(option.key);
  }
  std::size_t place = 0;
  const auto style = po::command_line_style::allow_long | po::command_line_style::long_allow_adjacent |
                     po::command_line_style::long_allow_next;
  for (const po::option& option : po::command_line_parser(plain).options(*description).style(style).run().options) {
    const std::string& value = option.value.at(0);
    if (!option.string_key.empty()) {
      result.push_back({option.string_key, value, kWhere});
    } else if (place < by_place.size()) {
      const Option* target = table.find(by_place[place++]);
      if (const auto why = target->fault(value)) faults.add(kWhere, fmt::format("{}: {}", target->value, *why));
      result.push_back({target->key, value, kWhere});
    } else {
      faults.add(kWhere, fmt::format("unexpected word '{}': usage: ldmpi {}", value, table.usage()));
    }
  }
  refuse_repetitions(table, result, faults);
  return result;
}

}  // namespace ldmpi::config
