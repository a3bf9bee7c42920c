#pragma once
// Numbers in the text format of Prometheus, for the textfile collector of its node_exporter.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ldmpi::train {

/// Names and values; a value may be any text.
using Labels = std::vector<std::pair<std::string, std::string>>;

/// Collects samples; those of one name stand together, as the format asks.
class PrometheusText {
 public:
  /// `common` stands at every sample.
  explicit PrometheusText(Labels common) : common_(std::move(common)) {}

  /// Adds a sample of `name` (letters, digits, '_'). `help` is that of the first sample of the name. A NaN is left out:
  /// what is not known has no sample.
  void gauge(std::string_view name, std::string_view help, double value, const Labels& labels = {});
  [[nodiscard]] std::string text() const;

 private:
  struct Family {
    std::string name;
    std::string text;
  };
  Labels common_;
  std::vector<Family> families_;
};

}  // namespace ldmpi::train
