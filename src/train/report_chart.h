#pragma once
// A curve over training steps as an inline SVG picture.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ldmpi::train {

/// Text as it may stand in HTML, between tags or in a quoted attribute.
[[nodiscard]] std::string escape_html(std::string_view text);

/// Marks of an axis from `low` to `high` (low < high) at 1, 2 or 5 times a power of ten; about `count` of them, all
/// inside.
[[nodiscard]] std::vector<double> axis_ticks(double low, double high, int count);

struct Chart {
  std::string title;
  std::string unit;  ///< of the values; may be empty
  std::string colour = "#2563eb";
  bool logarithmic = false;                             ///< where positive values span more than two decades
  std::vector<std::pair<std::int64_t, double>> points;  ///< (step, value); values that are not finite are left out
  std::vector<std::int64_t> restarts;                   ///< steps marked by dashed lines
};

/// A <figure> with title, axes with marks and labels, the mean curve and the range that it averages over, and the last
/// value. Without points: a note.
[[nodiscard]] std::string chart_html(const Chart& chart);

}  // namespace ldmpi::train
