#pragma once
// The fields of one JSON object from a file that others wrote: typed, bounded, with errors that name file and field.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ldmpi::nn {

/// Every getter returns `fallback` for an absent field, and throws Error(BadData) for one of another type or range.
class JsonFields {
 public:
  /// `origin` names the text in messages; `subject` says what it should be ("U-Net config"). Throws Error(BadData)
  /// unless the text is one JSON object, at most 1 MiB, no key given twice.
  JsonFields(std::string_view text, std::string_view origin, std::string_view subject);
  ~JsonFields();
  JsonFields(const JsonFields&) = delete;
  JsonFields& operator=(const JsonFields&) = delete;

  struct Range {
    std::int64_t low;
    std::int64_t high;
  };

  [[nodiscard]] bool boolean(const char* name, bool fallback);
  [[nodiscard]] std::int64_t integer(const char* name, std::int64_t fallback, Range range);
  [[nodiscard]] double number(const char* name, double fallback, double low, double high);
  /// One of `allowed`.
  [[nodiscard]] std::string word(const char* name, std::string_view fallback,
                                 std::initializer_list<std::string_view> allowed);
  /// A list of 1 .. max_size words, each one of `allowed`.
  [[nodiscard]] std::vector<std::string> words(const char* name, std::vector<std::string> fallback,
                                               std::size_t max_size, std::initializer_list<std::string_view> allowed);
  /// A list of `size` integers, or one that stands for all; `size` 0: a list of 1 .. 8.
  [[nodiscard]] std::vector<std::int64_t> integers(const char* name, std::vector<std::int64_t> fallback,
                                                   std::size_t size, Range range);
  /// The field may only be absent or equal to one of `values`, JSON texts; otherwise it is refused as not supported.
  void only(const char* name, std::initializer_list<const char*> values);
  /// Present and not null. Marks the field as known.
  [[nodiscard]] bool given(const char* name);
  /// Throws Error(BadData) naming the first field that no call asked for; names that begin with `_` are left alone.
  void refuse_others() const;

  /// Throws Error(BadData): "<origin>: field `name`: <reason>".
  [[noreturn]] void refuse(std::string_view name, std::string_view reason) const;
  void expect(bool condition, std::string_view name, std::string_view reason) const {
    if (!condition) refuse(name, reason);
  }

 private:
  [[nodiscard]] const nlohmann::json* find(const char* name);
  [[nodiscard]] std::int64_t checked(const char* name, const nlohmann::json& value, Range range) const;
  [[nodiscard]] std::string checked(const char* name, const nlohmann::json& value,
                                    std::initializer_list<std::string_view> allowed) const;

  std::string origin_;
  std::string subject_;
  std::unique_ptr<nlohmann::json> object_;
  std::set<std::string> known_;
};

}  // namespace ldmpi::nn
