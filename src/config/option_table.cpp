#include "config/option_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace ldmpi::config {
namespace {

/// Length of the UTF-8 sequence that begins at text[i]; 0 if there is none.
std::size_t utf8_length(std::string_view text, std::size_t i) {
  const auto byte = static_cast<unsigned char>(text[i]);
  const std::size_t length = byte < 0x80                   ? 1
                             : byte >= 0xC2 && byte < 0xE0 ? 2
                             : byte >= 0xE0 && byte < 0xF0 ? 3
                             : byte >= 0xF0 && byte < 0xF5 ? 4
                                                           : 0;
  if (length == 0 || i + length > text.size()) return 0;
  for (std::size_t k = 1; k < length; ++k) {
    if ((static_cast<unsigned char>(text[i + k]) & 0xC0U) != 0x80) return 0;
  }
  return length;
}

Why text_fault(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7F)
      return fmt::format("the value holds the control byte 0x{:02x}", byte);
    const std::size_t length = utf8_length(text, i);
    if (length == 0) return fmt::format("the value is not UTF-8 (byte 0x{:02x})", byte);
    i += length;
  }
  return {};
}

/// Edits between two words; two neighbours that changed places count as one.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before.swap(above);
    above.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string_view last_part(std::string_view key) {
  const std::size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? key : key.substr(dot + 1);
}

}  // namespace

std::optional<std::string> Option::fault(const std::string& text) const {
  if (comma_separated && text.find(',') != std::string::npos) {
    for (const std::string& part : elements(text)) {
      if (Why why = fault(part)) return why;
    }
    return {};
  }
  if (text.empty() && !empty_is_value) return "the value is empty";
  if (Why why = text_fault(text)) return why;
  if (Why why = check(text)) return why;
  double number = 0;
  const bool bounded = std::isfinite(minimum) || std::isfinite(maximum);
  if (!bounded || read_real(text, number)) return {};
  if (number >= minimum && (below_maximum ? number < maximum : number <= maximum)) return {};
  std::string range = fmt::format("at least {}", minimum);
  if (std::isfinite(maximum)) range += fmt::format(" and {} {}", below_maximum ? "below" : "at most", maximum);
  return fmt::format("'{}' is out of range: {}", text, range);
}

std::string Option::text() const {
  return fmt::format("{}", fmt::join(texts(), ","));
}

std::vector<std::string> Option::elements(const std::string& text) const {
  if (!comma_separated) return {text};
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

const Option* OptionTable::find(std::string_view name, const Alias** alias) const {
  const std::string key = canonical(name);
  if (alias) *alias = nullptr;
  for (const Option& option : options_) {
    if (option.key == key) return &option;
    for (const Alias& other : option.aliases) {
      if (other.name != key) continue;
      if (alias) *alias = &other;
      return &option;
    }
  }
  return nullptr;
}

std::string OptionTable::nearest(std::string_view name) const {
  std::vector<std::string> names;
  for (const Option& option : options_) {
    if (option.positional) continue;
    names.push_back(option.key);
    for (const Alias& alias : option.aliases) names.push_back(alias.name);
  }
  return nearest_of(canonical(name), names);
}

std::string canonical(std::string_view name) {
  std::string key(name);
  std::transform(key.begin(), key.end(), key.begin(), [](char c) {
    return c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return key;
}

std::string nearest_of(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kLongestWord = 64;
  if (word.empty() || word.size() > kLongestWord) return {};
  std::string best;
  std::size_t best_score = std::max<std::size_t>(1, word.size() / 3) * 2 + 1;
  for (const std::string& candidate : candidates) {
    // The same last part under another section (or none) is a near miss: `caption_dropout`, `optim.beta1`.
    std::size_t score = 2 * edit_distance(word, candidate);
    const std::string_view tail = last_part(candidate);
    if (tail.size() > 3) score = std::min(score, 2 * edit_distance(last_part(word), tail) + 1);
    if (score < best_score) {
      best_score = score;
      best = candidate;
    }
  }
  return best;
}

}  // namespace ldmpi::config
