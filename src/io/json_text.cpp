#include "io/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "io/atomic_file.h"

namespace ldmpi::io {

namespace {

constexpr std::uint64_t kMaxJsonFile = std::uint64_t{64} << 20;

/// "line 3, column 14" of a byte position.
std::string place_of(std::string_view text, std::size_t position) {
  const std::string_view before = text.substr(0, std::min(position, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0: the first line
  return fmt::format("line {}, column {}", line, column);
}

/// The library's explanation without its exception number and its own position.
std::string reason_of(const nlohmann::json::exception& error) {
  const std::string what = error.what();
  const auto begin = what.find(": ");
  return begin == std::string::npos ? what : what.substr(begin + 2);
}

/// Builds the value from the library's parse events. Its own builder would keep the last of two equal keys, and the one
/// that takes a callback looks through the whole parent after every child.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  Builder(std::string_view text, std::string_view name, const JsonLimits& limits)
      : text_(text), name_(name), limits_(limits) {}

  [[nodiscard]] nlohmann::json take() { return std::move(root_); }

  bool null() override { return add(nullptr) != nullptr; }
  bool boolean(bool value) override { return add(value) != nullptr; }
  bool number_integer(number_integer_t value) override { return add(value) != nullptr; }
  bool number_unsigned(number_unsigned_t value) override { return add(value) != nullptr; }
  bool number_float(number_float_t value, const string_t&) override { return add(value) != nullptr; }
  bool string(string_t& value) override { return add(std::move(value)) != nullptr; }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(nlohmann::json::value_t::object); }
  bool start_array(std::size_t) override { return open(nlohmann::json::value_t::array); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& key) override {
    const auto [entry, is_new] = open_.back()->get_ref<nlohmann::json::object_t&>().emplace(key, nullptr);
    require(is_new, Exit::BadData, "{}: key {} given twice in one JSON object", name_, quoted_text(key));
    member_ = &entry->second;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& error) override {
    fail(Exit::BadData, "{}: not valid JSON at {}: {}", name_, place_of(text_, position == 0 ? 0 : position - 1),
         reason_of(error));
  }

 private:
  nlohmann::json* add(nlohmann::json value) {
    require(++values_ <= limits_.values, Exit::BadData, "{}: JSON with more than {} values", name_, limits_.values);
    nlohmann::json* place = &root_;
    if (!open_.empty() && open_.back()->is_array())
      place = &open_.back()->get_ref<nlohmann::json::array_t&>().emplace_back();
    else if (!open_.empty())
      place = member_;
    *place = std::move(value);
    return place;
  }
  bool open(nlohmann::json::value_t type) {
    require(open_.size() < static_cast<std::size_t>(limits_.depth), Exit::BadData,
            "{}: JSON nested deeper than {} levels", name_, limits_.depth);
    open_.push_back(add(type));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string_view text_;
  std::string_view name_;
  JsonLimits limits_;
  std::size_t values_ = 0;
  nlohmann::json root_;
  nlohmann::json* member_ = nullptr;   // the value that the last key announced
  std::vector<nlohmann::json*> open_;  // from the root to the innermost; only the innermost can grow, so none moves
};

}  // namespace

nlohmann::json parse_json(std::string_view text, std::string_view name, const JsonLimits& limits) {
  // The library takes a NUL for the end of the text; what follows would be accepted unseen.
  const auto nul = text.find('\0');
  require(nul == std::string_view::npos, Exit::BadData, "{}: not JSON text: zero byte at {}", name,
          place_of(text, nul));
  Builder builder(text, name, limits);
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

std::string quoted_text(std::string_view text) {
  return nlohmann::json(text.substr(0, 80)).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

nlohmann::json read_json(const std::filesystem::path& path, const JsonLimits& limits) {
  return parse_json(read_text_file(path, kMaxJsonFile), path.string(), limits);
}

}  // namespace ldmpi::io
