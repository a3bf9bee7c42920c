#include "train/report_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace ldmpi::train {

namespace {

// The picture in its own units; the page scales it.
constexpr double kWidth = 560, kHeight = 250;
constexpr double kLeft = 62, kRight = 14, kTop = 10, kBottom = 38;
constexpr double kPlotWidth = kWidth - kLeft - kRight, kPlotHeight = kHeight - kTop - kBottom;
constexpr std::size_t kBuckets = 240;
constexpr double kLogSpan = 100.0;
constexpr double kLargest = 1e150;  // beyond, differences of values overflow

/// The points of neighbouring steps as one.
struct Bucket {
  double step = 0, mean = 0, low = 0, high = 0;  // step: their middle
  double first = 0, last = 0;                    // steps
};

std::vector<Bucket> collect(std::vector<std::pair<std::int64_t, double>> points) {
  std::erase_if(points, [](const auto& point) { return !(std::fabs(point.second) < kLargest); });
  std::stable_sort(points.begin(), points.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const std::size_t size = (points.size() + kBuckets - 1) / kBuckets;
  std::vector<Bucket> buckets;
  for (std::size_t begin = 0; begin < points.size(); begin += size) {
    const std::size_t end = std::min(begin + size, points.size());
    Bucket bucket{.low = std::numeric_limits<double>::infinity(),
                  .high = -std::numeric_limits<double>::infinity(),
                  .first = static_cast<double>(points[begin].first),
                  .last = static_cast<double>(points[end - 1].first)};
    for (std::size_t i = begin; i < end; ++i) {
      bucket.step += static_cast<double>(points[i].first) / static_cast<double>(end - begin);
      bucket.mean += points[i].second / static_cast<double>(end - begin);
      bucket.low = std::min(bucket.low, points[i].second);
      bucket.high = std::max(bucket.high, points[i].second);
    }
    buckets.push_back(bucket);
  }
  return buckets;
}

/// "12k", "1.5M", "0.0002", "1e-05"
std::string short_number(double value) {
  const double size = std::fabs(value);
  if (size >= 1e9 || (size > 0 && size < 1e-4)) return fmt::format("{:.3g}", value);
  if (size >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.4g}k", value / 1e3);
  return fmt::format("{:.4g}", value);
}

/// One axis: values to places in the picture.
class Axis {
 public:
  Axis(double low, double high, bool logarithmic, double begin, double length)
      : logarithmic_(logarithmic), low_(scale(low)), high_(scale(high)), begin_(begin), length_(length) {}

  [[nodiscard]] double place(double value) const { return begin_ + (scale(value) - low_) / (high_ - low_) * length_; }
  [[nodiscard]] std::vector<double> ticks(int count) const {
    if (!logarithmic_) return axis_ticks(low_, high_, count);
    std::vector<double> ticks;
    const int stride = std::max(1, static_cast<int>(std::ceil((high_ - low_) / count)));
    for (int power = static_cast<int>(std::ceil(low_)); power <= high_; power += stride)
      ticks.push_back(std::pow(10.0, power));
    return ticks;
  }

 private:
  [[nodiscard]] double scale(double value) const { return logarithmic_ ? std::log10(value) : value; }

  bool logarithmic_;
  double low_, high_, begin_, length_;
};

Axis value_axis(const std::vector<Bucket>& buckets, bool may_be_logarithmic) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const Bucket& bucket : buckets) {
    low = std::min(low, bucket.low);
    high = std::max(high, bucket.high);
  }
  const bool logarithmic = may_be_logarithmic && low > 0 && high / low > kLogSpan;
  if (logarithmic) {
    low /= 1.2;
    high *= 1.2;
  } else {
    double margin = 0.06 * (high - low);
    if (!(margin > 0)) margin = std::max(0.1 * std::fabs(high), 1e-12);
    // Values that cannot be negative do not get a negative axis.
    low = low >= 0 && low < margin ? 0.0 : low - margin;
    high += margin;
  }
  return {low, high, logarithmic, kTop + kPlotHeight, -kPlotHeight};
}

std::string curve(const std::vector<Bucket>& buckets, const Axis& x, const Axis& y, const std::string& colour) {
  std::string line, upper, lower;
  bool ranges = false;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const Bucket& bucket = buckets[i];
    const Bucket& mirrored = buckets[buckets.size() - 1 - i];
    line += fmt::format("{:.1f},{:.1f} ", x.place(bucket.step), y.place(bucket.mean));
    upper += fmt::format("{:.1f},{:.1f} ", x.place(bucket.step), y.place(bucket.high));
    lower += fmt::format("{:.1f},{:.1f} ", x.place(mirrored.step), y.place(mirrored.low));
    ranges = ranges || bucket.high > bucket.low;
  }
  std::string svg;
  if (ranges) svg += fmt::format("<polygon points=\"{}{}\" fill=\"{}\" fill-opacity=\"0.14\"/>", upper, lower, colour);
  svg += fmt::format(
      "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"/>", line,
      colour);
  svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>", x.place(buckets.back().step),
                     y.place(buckets.back().mean), colour);
  return svg;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

std::vector<double> axis_ticks(double low, double high, int count) {
  const double rough = (high - low) / std::max(count, 1);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double fraction = rough / power;
  const double step = power * (fraction < 1.5 ? 1.0 : fraction < 3.5 ? 2.0 : fraction < 7.5 ? 5.0 : 10.0);
  std::vector<double> ticks;
  const double slack = 1e-9 * step;
  for (double n = std::ceil((low - slack) / step); n * step <= high + slack; ++n) {
    // A range near the resolution of the numbers themselves has no more marks.
    if (!ticks.empty() && n * step <= ticks.back()) break;
    ticks.push_back(n == 0 ? 0.0 : n * step);
  }
  return ticks;
}

std::string chart_html(const Chart& chart) {
  const std::vector<Bucket> buckets = collect(chart.points);
  std::string html = fmt::format("<figure class=\"chart\"><figcaption><b>{}</b>", escape_html(chart.title));
  if (buckets.empty()) return html + "</figcaption><p class=\"note\">nothing recorded yet</p></figure>\n";
  const std::string unit = chart.unit.empty() ? "" : " " + escape_html(chart.unit);
  html += fmt::format("<span>{}{}</span></figcaption>", short_number(buckets.back().mean), unit);
  html += fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{} over steps\">", kWidth, kHeight,
                      escape_html(chart.title));

  const double first = buckets.front().first;
  const double last = std::max(buckets.back().last, first + 1.0);
  const Axis x(first, last, false, kLeft, kPlotWidth);
  const Axis y = value_axis(buckets, chart.logarithmic);
  const double bottom = kTop + kPlotHeight;
  for (const double tick : y.ticks(5))
    html += fmt::format(
        "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" class=\"grid\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>",
        kLeft, kLeft + kPlotWidth, y.place(tick), kLeft - 8, y.place(tick) + 4, short_number(tick));
  for (const double tick : x.ticks(6)) {
    if (tick != std::floor(tick)) continue;
    html += fmt::format(
        "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" class=\"axis\"/>"
        "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>",
        x.place(tick), bottom, bottom + 4, bottom + 17, short_number(tick));
  }
  html += fmt::format("<line x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\" class=\"axis\"/>", kLeft, kLeft + kPlotWidth,
                      bottom);
  html +=
      fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">step</text>", kLeft + kPlotWidth / 2, kHeight - 4);
  for (const std::int64_t restart : chart.restarts) {
    const auto step = static_cast<double>(restart);
    if (step < first || step > last) continue;
    html += fmt::format(
        "<line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\" class=\"restart\">"
        "<title>restarted from step {3}</title></line>",
        x.place(step), kTop, bottom, restart);
  }
  html += curve(buckets, x, y, escape_html(chart.colour));
  return html + "</svg></figure>\n";
}

}  // namespace ldmpi::train
