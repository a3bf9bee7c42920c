// Configuration files: [section], key = value, comments from # or ; at the start of a line or # after a space, values
// in double quotes where they hold such characters. An own reader, because Program_options' stops at the first
// fault, knows no line numbers and cuts values at every '#'.
#include <fmt/format.h>

#include <algorithm>

#include "config/parse.h"
#include "config/parse_detail.h"

namespace ldmpi::config {
namespace {

constexpr std::size_t kLongestLine = 64 * 1024;
/// A file with more is not a configuration with slips but something else.
constexpr std::size_t kMostFaults = 100;
constexpr std::string_view kBlank = " \t";

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

bool is_comment(std::string_view text) {
  return text.empty() || text[0] == '#' || text[0] == ';';
}

/// The part before a '#' that follows a blank.
std::string_view without_comment(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '#' && (i == 0 || kBlank.find(text[i - 1]) != std::string_view::npos))
      return trim(text.substr(0, i));
  }
  return text;
}

/// Takes "..." with \" and \\ apart. Returns what is wrong, or nothing.
Why unquote(std::string_view text, std::string& value) {
  value.clear();
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      return is_comment(trim(text.substr(i + 1))) ? Why{} : Why{"text after the closing quote"};
    }
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) ++i;
    value += text[i];
  }
  return "the closing quote is missing";
}

class IniReader {
 public:
  IniReader(const OptionTable& table, const OwnerOf& owner_of, const std::string& name, Faults& faults)
      : table_(table), owner_of_(owner_of), name_(name), faults_(faults) {}

  std::vector<Given> run(std::string_view content) {
    line_ = 1;
    if (content.starts_with("\xEF\xBB\xBF")) {
      fault("the file begins with a byte order mark; save it as UTF-8 without one");
      content.remove_prefix(3);
    } else if (content.starts_with("\xFF\xFE") || content.starts_with("\xFE\xFF")) {
      fault("the file is UTF-16; save it as UTF-8");
      return {};
    }
    const std::size_t before = faults_.lines().size();
    for (; !content.empty(); ++line_) {
      if (faults_.lines().size() - before >= kMostFaults) {
        fault(fmt::format("{} problems so far, the rest of the file is not read", kMostFaults));
        break;
      }
      const std::size_t end = std::min(content.find('\n'), content.size());
      std::string_view line = content.substr(0, end);
      content.remove_prefix(std::min(end + 1, content.size()));
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.size() > kLongestLine) {
        fault(fmt::format("the line is longer than {} bytes; is this a configuration file?", kLongestLine));
        continue;
      }
      const auto odd = std::find_if(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
      });
      if (odd != line.end()) {
        fault(fmt::format("byte 0x{:02x} in the line; this is not a text file, the rest is not read",
                          static_cast<unsigned char>(*odd)));
        break;
      }
      read_line(trim(line));
    }
    refuse_repetitions(table_, given_, faults_);
    return std::move(given_);
  }

 private:
  [[nodiscard]] std::string where() const { return fmt::format("{}:{}", name_, line_); }
  void fault(const std::string& what) { faults_.add(where(), what); }

  void read_line(std::string_view line) {
    if (is_comment(line)) return;
    if (line[0] == '[') {
      const std::string_view bare = without_comment(line);
      section_ = canonical(trim(bare.substr(1, bare.find(']') - 1)));
      if (section_.empty() || bare.find(']') != bare.size() - 1) fault(fmt::format("'{}' is no [section]", bare));
      return;
    }
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return fault(fmt::format("'{}' is neither key = value nor [section]", line.substr(0, 80)));
    }
    const std::string written(trim(line.substr(0, equals)));
    read_setting(section_.empty() ? written : section_ + "." + written, trim(line.substr(equals + 1)));
  }

  void read_setting(const std::string& name, std::string_view text) {
    const Alias* alias = nullptr;
    const Option* option = table_.find(name, &alias);
    if (!option || option->positional) {
      if (owner_of_ && !owner_of_(canonical(name)).empty()) return;
      return fault(unknown_key(table_, {}, name, name));
    }
    if (option->general) return fault(fmt::format("{} can stand on the command line only", option->key));
    std::string value(without_comment(text));
    if (text.starts_with('"')) {
      if (const Why why = unquote(text, value)) return fault(fmt::format("{}: {}", name, *why));
    }
    value = meaning(*option, alias, value);
    if (const Why why = option->fault(value)) return fault(fmt::format("{}: {}", name, *why));
    given_.push_back({option->key, value, where()});
  }

  const OptionTable& table_;
  const OwnerOf& owner_of_;
  const std::string& name_;
  Faults& faults_;
  std::size_t line_ = 1;
  std::string section_;
  std::vector<Given> given_;
};

}  // namespace

std::vector<Given> read_ini(const OptionTable& table, const OwnerOf& owner_of, const std::string& name,
                            const std::string& content, Faults& faults) {
  return IniReader(table, owner_of, name, faults).run(content);
}

}  // namespace ldmpi::config
