#include "nn/json_fields.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"

namespace ldmpi::nn {

namespace {

using json = nlohmann::json;

constexpr std::size_t kMaxText = std::size_t{1} << 20;
constexpr int kMaxDepth = 8;

/// A value for a message: one line, ASCII, short.
std::string shown(const json& value) {
  auto text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

}  // namespace

JsonFields::JsonFields(std::string_view text, std::string_view origin, std::string_view subject)
    : origin_(origin), subject_(subject) {
  require(text.size() <= kMaxText, Exit::BadData, "{}: {} bytes are too many for a {}", origin, text.size(), subject);
  // The library takes a NUL for the end of the text.
  require(text.find('\0') == std::string_view::npos, Exit::BadData, "{}: not JSON text: it holds a zero byte", origin);
  std::set<std::string> keys;
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    require(depth <= kMaxDepth, Exit::BadData, "{}: JSON nested too deep for a {}", origin, subject);
    if (event == json::parse_event_t::key && depth == 1)
      require(keys.insert(parsed.get<std::string>()).second, Exit::BadData, "{}: field {} is given twice", origin,
              shown(parsed));
    return true;
  };
  try {
    object_ = std::make_unique<json>(json::parse(text.begin(), text.end(), watch));
  } catch (const json::exception& error) {
    fail(Exit::BadData, "{}: not valid JSON: {}", origin, error.what());
  }
  require(object_->is_object(), Exit::BadData, "{}: a {} is a JSON object", origin, subject);
}

JsonFields::~JsonFields() = default;

void JsonFields::refuse(std::string_view name, std::string_view reason) const {
  fail(Exit::BadData, "{}: field `{}`: {}", origin_, name, reason);
}

const json* JsonFields::find(const char* name) {
  known_.insert(name);
  const auto field = object_->find(name);
  return field == object_->end() ? nullptr : &*field;
}

bool JsonFields::given(const char* name) {
  const auto* value = find(name);
  return value != nullptr && !value->is_null();
}

std::int64_t JsonFields::checked(const char* name, const json& value, Range range) const {
  const auto wanted = fmt::format("an integer from {} to {} is needed, not {}", range.low, range.high, shown(value));
  expect(value.is_number_integer(), name, wanted);
  expect(!value.is_number_unsigned() || value.get<std::uint64_t>() <= static_cast<std::uint64_t>(range.high), name,
         wanted);
  const auto number = value.get<std::int64_t>();
  expect(number >= range.low && number <= range.high, name, wanted);
  return number;
}

std::string JsonFields::checked(const char* name, const json& value,
                                std::initializer_list<std::string_view> allowed) const {
  const auto known =
      value.is_string() &&
      std::find(allowed.begin(), allowed.end(), std::string_view(value.get_ref<const std::string&>())) != allowed.end();
  expect(known, name, fmt::format("{} is not supported; supported: {}", shown(value), fmt::join(allowed, ", ")));
  return value.get<std::string>();
}

bool JsonFields::boolean(const char* name, bool fallback) {
  const auto* value = find(name);
  if (value == nullptr) return fallback;
  expect(value->is_boolean(), name, fmt::format("true or false is needed, not {}", shown(*value)));
  return value->get<bool>();
}

std::int64_t JsonFields::integer(const char* name, std::int64_t fallback, Range range) {
  const auto* value = find(name);
  return value == nullptr ? fallback : checked(name, *value, range);
}

double JsonFields::number(const char* name, double fallback, double low, double high) {
  const auto* value = find(name);
  if (value == nullptr) return fallback;
  const auto wanted = fmt::format("a number from {} to {} is needed, not {}", low, high, shown(*value));
  expect(value->is_number(), name, wanted);
  const auto number = value->get<double>();
  expect(number >= low && number <= high, name, wanted);
  return number;
}

std::string JsonFields::word(const char* name, std::string_view fallback,
                             std::initializer_list<std::string_view> allowed) {
  const auto* value = find(name);
  return value == nullptr ? std::string(fallback) : checked(name, *value, allowed);
}

std::vector<std::string> JsonFields::words(const char* name, std::vector<std::string> fallback, std::size_t max_size,
                                           std::initializer_list<std::string_view> allowed) {
  const auto* value = find(name);
  if (value == nullptr) return fallback;
  expect(value->is_array() && !value->empty() && value->size() <= max_size, name,
         fmt::format("a list of 1 to {} names is needed, not {}", max_size, shown(*value)));
  std::vector<std::string> result;
  for (const auto& item : *value) result.push_back(checked(name, item, allowed));
  return result;
}

std::vector<std::int64_t> JsonFields::integers(const char* name, std::vector<std::int64_t> fallback, std::size_t size,
                                               Range range) {
  constexpr std::size_t kMaxLevels = 8;
  const auto* value = find(name);
  if (value == nullptr) return fallback;
  if (size != 0 && !value->is_array()) return std::vector<std::int64_t>(size, checked(name, *value, range));
  const auto count = value->is_array() ? value->size() : 0;
  if (size == 0)
    expect(count >= 1 && count <= kMaxLevels, name, fmt::format("a list of 1 to {} integers is needed", kMaxLevels));
  else
    expect(count == size, name, fmt::format("an integer or a list of {} is needed, one a level", size));
  std::vector<std::int64_t> result;
  for (const auto& item : *value) result.push_back(checked(name, item, range));
  return result;
}

void JsonFields::only(const char* name, std::initializer_list<const char*> values) {
  const auto* value = find(name);
  if (value == nullptr) return;
  const auto equal = [&](const char* text) { return json::parse(text) == *value; };
  expect(std::any_of(values.begin(), values.end(), equal), name,
         fmt::format("{} is not supported; supported: {}", shown(*value), fmt::join(values, ", ")));
}

void JsonFields::refuse_others() const {
  for (const auto& [name, value] : object_->items())
    require(name.starts_with('_') || known_.contains(name), Exit::BadData,
            "{}: field {} = {} is not known to this program. If it comes from a newer diffusers and has its default "
            "value, remove it; otherwise this {} needs what this program does not have",
            origin_, shown(json(name)), shown(value), subject_);
}

}  // namespace ldmpi::nn
