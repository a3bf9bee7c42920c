#pragma once
// Text <-> value for every field type of config.h. read() returns why the text is no such value, or nothing; for lists
// it appends. write() returns one text per element, none for "not given". What read() accepts write() restores.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "config/names.h"

namespace ldmpi::config {

using Why = std::optional<std::string>;

Why read_bool(const std::string& text, bool& value);
Why read_integer(const std::string& text, std::int64_t& value);
Why read_unsigned(const std::string& text, std::uint64_t& value);
Why read_real(const std::string& text, double& value);
Why read_dims(const std::string& text, Dims& value);
/// Index of `text` in `words`.
Why read_choice(const std::string& text, const std::string_view* words, std::size_t count, std::size_t& index);
std::string write_real(double value);
std::string write_dims(const Dims& value);
std::string join(const std::string_view* words, std::size_t count);

/// Enumerations.
template <typename T>
struct Value {
  static_assert(std::is_enum_v<T>);
  static constexpr auto& kWords = Names<T>::list;
  static constexpr bool kList = false;
  static constexpr bool kSwitch = std::is_same_v<T, Switch>;
  static std::string placeholder() { return join(kWords.data(), kWords.size()); }
  static Why read(const std::string& text, T& value) {
    std::size_t index = 0;
    Why why = read_choice(text, kWords.data(), kWords.size(), index);
    if (!why) value = static_cast<T>(index);
    return why;
  }
  static std::vector<std::string> write(T value) { return {std::string(name_of(value))}; }
};

template <>
struct Value<bool> {
  static constexpr bool kList = false, kSwitch = true;
  static std::string placeholder() { return "on|off"; }
  static Why read(const std::string& text, bool& value) { return read_bool(text, value); }
  static std::vector<std::string> write(bool value) { return {value ? "on" : "off"}; }
};

template <>
struct Value<std::int64_t> {
  static constexpr bool kList = false, kSwitch = false;
  static std::string placeholder() { return "N"; }
  static Why read(const std::string& text, std::int64_t& value) { return read_integer(text, value); }
  static std::vector<std::string> write(std::int64_t value) { return {std::to_string(value)}; }
};

template <>
struct Value<std::uint64_t> {
  static constexpr bool kList = false, kSwitch = false;
  static std::string placeholder() { return "N"; }
  static Why read(const std::string& text, std::uint64_t& value) { return read_unsigned(text, value); }
  static std::vector<std::string> write(std::uint64_t value) { return {std::to_string(value)}; }
};

template <>
struct Value<double> {
  static constexpr bool kList = false, kSwitch = false;
  static std::string placeholder() { return "X"; }
  static Why read(const std::string& text, double& value) { return read_real(text, value); }
  static std::vector<std::string> write(double value) { return {write_real(value)}; }
};

template <>
struct Value<std::string> {
  static constexpr bool kList = false, kSwitch = false;
  static std::string placeholder() { return "TEXT"; }
  static Why read(const std::string& text, std::string& value) {
    value = text;
    return {};
  }
  static std::vector<std::string> write(const std::string& value) {
    return value.empty() ? std::vector<std::string>{} : std::vector<std::string>{value};
  }
};

template <>
struct Value<Dims> {
  static constexpr bool kList = false, kSwitch = false;
  static std::string placeholder() { return "AxBxC"; }
  static Why read(const std::string& text, Dims& value) { return read_dims(text, value); }
  static std::vector<std::string> write(const Dims& value) {
    return value.empty() ? std::vector<std::string>{} : std::vector<std::string>{write_dims(value)};
  }
};

template <typename T>
struct Value<std::optional<T>> {
  static constexpr bool kList = false, kSwitch = Value<T>::kSwitch;
  static std::string placeholder() { return Value<T>::placeholder(); }
  static Why read(const std::string& text, std::optional<T>& value) { return Value<T>::read(text, value.emplace()); }
  static std::vector<std::string> write(const std::optional<T>& value) {
    return value ? Value<T>::write(*value) : std::vector<std::string>{};
  }
};

template <typename T>
requires(!std::is_same_v<T, std::int64_t>) struct Value<std::vector<T>> {
  static constexpr bool kList = true, kSwitch = false;
  static std::string placeholder() { return Value<T>::placeholder(); }
  static Why read(const std::string& text, std::vector<T>& value) { return Value<T>::read(text, value.emplace_back()); }
  static std::vector<std::string> write(const std::vector<T>& value) {
    std::vector<std::string> texts;
    for (const T& element : value) texts.push_back(Value<T>::write(element).at(0));
    return texts;
  }
};

}  // namespace ldmpi::config
