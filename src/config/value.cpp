#include "config/value.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "config/option_table.h"

namespace ldmpi::config {
namespace {

template <typename T>
Why read_number(const std::string& text, T& value, const char* kind) {
  const char* end = text.data() + text.size();
  const char* begin = text.data() + (text.size() > 1 && text[0] == '+' ? 1 : 0);
  T parsed{};
  const auto [stop, error] = std::from_chars(begin, end, parsed);
  if (error == std::errc::result_out_of_range) return fmt::format("'{}' is out of range", text);
  if (error != std::errc{} || stop != end) return fmt::format("'{}' is not {}", text, kind);
  value = parsed;
  return {};
}

}  // namespace

Why read_bool(const std::string& text, bool& value) {
  for (const char* word : {"on", "true", "yes", "1"}) {
    if (text == word) return value = true, Why{};
  }
  for (const char* word : {"off", "false", "no", "0"}) {
    if (text == word) return value = false, Why{};
  }
  return fmt::format("'{}' is neither on nor off", text);
}

Why read_integer(const std::string& text, std::int64_t& value) {
  return read_number(text, value, "a whole number");
}

Why read_unsigned(const std::string& text, std::uint64_t& value) {
  return read_number(text, value, "a whole number from 0 up");
}

Why read_real(const std::string& text, double& value) {
  double parsed = 0;
  Why why = read_number(text, parsed, "a number");
  if (!why && !std::isfinite(parsed)) return fmt::format("'{}' is not a finite number", text);
  if (!why) value = parsed;
  return why;
}

Why read_dims(const std::string& text, Dims& value) {
  Dims dims;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('x', begin), text.size());
    std::int64_t size = 0;
    if (read_integer(text.substr(begin, end - begin), size) || size < 1 || size > 1'000'000) {
      return fmt::format("'{}' is not a list of sizes like 4x64x64", text);
    }
    dims.push_back(size);
    begin = end + 1;
  }
  value = std::move(dims);
  return {};
}

Why read_choice(const std::string& text, const std::string_view* words, std::size_t count, std::size_t& index) {
  const bool looks_like_switch = std::find(words, words + count, "on") != words + count;
  const std::string word = canonical(text);
  std::string_view meant = word;
  bool on = false;
  if (looks_like_switch && !read_bool(word, on)) meant = on ? "on" : "off";
  const auto* found = std::find(words, words + count, meant);
  if (found != words + count) {
    index = static_cast<std::size_t>(found - words);
    return {};
  }
  const std::string near = nearest_of(word, {words, words + count});
  return fmt::format("'{}' is not one of {}{}", text, join(words, count),
                     near.empty() ? "" : fmt::format("; did you mean {}?", near));
}

std::string write_real(double value) {
  return fmt::format("{}", value);
}

std::string write_dims(const Dims& value) {
  return fmt::format("{}", fmt::join(value, "x"));
}

std::string join(const std::string_view* words, std::size_t count) {
  return fmt::format("{}", fmt::join(words, words + count, "|"));
}

}  // namespace ldmpi::config
