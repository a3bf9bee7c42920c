#include "train/prometheus_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace ldmpi::train {
namespace {

std::string escape_value(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quotes)
      out += "\\\"";
    else
      out += c;
  }
  return out;
}

std::string value_text(double value) {
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

}  // namespace

void PrometheusText::gauge(std::string_view name, std::string_view help, double value, const Labels& labels) {
  if (std::isnan(value)) return;
  auto family = std::find_if(families_.begin(), families_.end(), [&](const Family& f) { return f.name == name; });
  if (family == families_.end()) {
    families_.push_back(
        {std::string(name), fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n", name, escape_value(help, false))});
    family = families_.end() - 1;
  }
  std::string all;
  for (const Labels* list : {&std::as_const(common_), &labels})
    for (const auto& [key, text] : *list)
      all += fmt::format("{}{}=\"{}\"", all.empty() ? "" : ",", key, escape_value(text, true));
  family->text += all.empty() ? fmt::format("{} {}\n", name, value_text(value))
                              : fmt::format("{}{{{}}} {}\n", name, all, value_text(value));
}

std::string PrometheusText::text() const {
  std::string text;
  for (const auto& family : families_) text += family.text;
  return text;
}

}  // namespace ldmpi::train
