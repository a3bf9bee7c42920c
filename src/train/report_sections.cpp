#include "train/report_sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>
#include <string_view>

#include "base/check.h"
#include "config/print.h"
#include "train/report_chart.h"

namespace ldmpi::train {
namespace {

// The picture in its own units; the page scales it.
constexpr double kAreaWidth = 1130, kAreaHeight = 260, kAreaLeft = 62, kAreaRight = 14, kAreaTop = 10, kAreaBottom = 38;
constexpr std::size_t kAreaBuckets = 240;

struct StackedPhase {
  const char* key;
  std::string_view name, colour;
};
constexpr std::array<StackedPhase, 6> kStackedPhases{{{"forward_ms", "forward", "#2563eb"},
                                        {"backward_ms", "backward", "#7c3aed"},
                                        {"optimize_ms", "optimizer", "#0d9488"},
                                        {"communicate_ms", "exposed communication", "#dc2626"},
                                        {"data_wait_ms", "wait for data", "#d97706"},
                                        {"data_ms", "inputs", "#facc15"}}};

struct RankTableRow {
  const char* key;
  std::string_view name;
};
constexpr std::array<RankTableRow, 7> kRankTable{{{"compute_ms", "forward and backward, ms"},
                                            {"data_wait_ms", "wait for data, ms"},
                                            {"resident_mib", "memory of the process, MiB"},
                                            {"gpu_memory_mib", "memory of the GPU, MiB"},
                                            {"gpu_utilisation", "GPU busy, %"},
                                            {"gpu_power_w", "GPU power, W"},
                                            {"gpu_temperature_c", "GPU temperature, C"}}};

const History::Series* find_series(const History& history, const std::string& key) {
  const auto found = history.series.find(key);
  return found == history.series.end() || found->second.empty() ? nullptr : &found->second;
}

// Means of neighbouring steps.
std::vector<double> bucket_means(const History::Series& series, std::size_t size) {
  std::vector<double> means;
  for (std::size_t begin = 0; begin < series.size(); begin += size) {
    const std::size_t end = std::min(begin + size, series.size());
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += series[i].second;
    means.push_back(sum / static_cast<double>(end - begin));
  }
  return means;
}

double mean_of(const History::Series& series) {
  return bucket_means(series, series.size()).front();
}

std::string utc_text(double seconds) {
  const auto whole = static_cast<std::time_t>(seconds);
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts);
  return text.data();
}

// What changed from one start to the next; nothing if it cannot be told.
std::string changes_html(const HistoryStart& before, const HistoryStart& after) {
  std::string html;
  try {
    const auto changes = config::diff(config::from_ini(before.config, "the earlier configuration"),
                                      config::from_ini(after.config, "the later configuration"));
    for (const auto& change : changes)
      html += fmt::format("<br/>{}: {} &#8594; {}", escape_html(change.key),
                          change.old_value.empty() ? "(none)" : escape_html(change.old_value),
                          change.new_value.empty() ? "(none)" : escape_html(change.new_value));
  } catch (const Error& error) {
    html = fmt::format("<br/>{}", escape_html(error.what()));
  }
  return html.empty() ? "the same options" : html.substr(std::string_view("<br/>").size());
}

}  // namespace

std::string phases_html(const History& history) {
  const auto* step = find_series(history, "step_ms");
  if (step == nullptr) return {};
  const double whole = mean_of(*step);
  const std::size_t size = (step->size() + kAreaBuckets - 1) / kAreaBuckets;
  const auto totals = bucket_means(*step, size);
  // One slow step (the first one) must not make all others flat.
  auto sorted = totals;
  std::sort(sorted.begin(), sorted.end());
  const double high = std::max(1.1 * sorted[(sorted.size() - 1) * 98 / 100], 1e-9);

  const double width = kAreaWidth - kAreaLeft - kAreaRight, height = kAreaHeight - kAreaTop - kAreaBottom, bottom = kAreaTop + height;
  const auto x = [&](std::size_t i) {
    return kAreaLeft + width * (totals.size() > 1 ? static_cast<double>(i) / static_cast<double>(totals.size() - 1) : 0.5);
  };
  const auto y = [&](double ms) { return bottom - height * std::clamp(ms / high, 0.0, 1.0); };
  std::string areas, legend;
  std::vector<double> below(totals.size(), 0.0);
  const auto layer = [&](std::string_view name, std::string_view colour, const std::vector<double>& means, double share) {
    std::string upper, lower;
    for (std::size_t i = 0; i < totals.size(); ++i) {
      const std::size_t back = totals.size() - 1 - i;
      lower += fmt::format("{:.1f},{:.1f} ", x(back), y(below[back]));
      upper += fmt::format("{:.1f},{:.1f} ", x(i), y(below[i] + means[i]));
    }
    for (std::size_t i = 0; i < totals.size(); ++i) below[i] += means[i];
    areas += fmt::format("<polygon points=\"{}{}\" fill=\"{}\" fill-opacity=\"0.75\"><title>{}</title></polygon>", upper,
                         lower, colour, name);
    legend += fmt::format("<span class=\"key\"><i style=\"background:{}\"></i>{} {:.1f} %</span>", colour, name,
                          100 * share);
  };
  for (const auto& phase : kStackedPhases) {
    const auto* series = find_series(history, phase.key);
    if (series == nullptr || series->size() != step->size()) continue;
    layer(phase.name, phase.colour, bucket_means(*series, size), whole > 0 ? mean_of(*series) / whole : 0);
  }
  auto rest = totals;
  double rest_mean = 0;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    rest[i] = std::max(rest[i] - below[i], 0.0);
    rest_mean += rest[i] / static_cast<double>(rest.size());
  }
  layer("the rest", "#9ca3af", rest, whole > 0 ? rest_mean / whole : 0);

  std::string axes;
  for (const double tick : axis_ticks(0, high, 5))
    axes += fmt::format(
        "<line x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" class=\"grid\"/>"
        "<text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.4g}</text>",
        kAreaLeft, kAreaLeft + width, y(tick), kAreaLeft - 8, y(tick) + 4, tick);
  axes += fmt::format("<text x=\"{}\" y=\"{}\">step {}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">step {}</text>",
                      kAreaLeft, bottom + 17, step->front().first, kAreaLeft + width, bottom + 17, step->back().first);
  return fmt::format(
      "<h2>Where the time goes</h2>\n<figure class=\"chart\"><figcaption><b>A step</b><span>{:.4g} ms (mean)</span>"
      "</figcaption><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"phases of a step over steps\">{}{}</svg>"
      "<p class=\"keys\">{}</p></figure>\n",
      whole, kAreaWidth, kAreaHeight, axes, areas, legend);
}

std::string ranks_html(const History& history) {
  std::string rows;
  for (const auto& row : kRankTable) {
    const std::string key = row.key;
    const auto *least = find_series(history, key + "_min"), *middle = find_series(history, key + "_median"),
               *most = find_series(history, key + "_max");
    if (least == nullptr || middle == nullptr || most == nullptr) continue;
    std::string who = "";
    if (const auto maxima = history.maxima.find(key); maxima != history.maxima.end()) {
      std::int64_t all = 0;
      auto often = maxima->second.begin();
      for (auto it = maxima->second.begin(); it != maxima->second.end(); ++it) {
        all += it->second;
        if (it->second > often->second) often = it;
      }
      who = fmt::format("{}, {:.0f} % of the time", often->first,
                        100 * static_cast<double>(often->second) / static_cast<double>(all));
    }
    rows += fmt::format("<tr><td>{}</td><td>{:.4g}</td><td>{:.4g}</td><td>{:.4g}</td><td>{}</td></tr>\n", row.name,
                        mean_of(*least), mean_of(*middle), mean_of(*most), escape_html(who));
  }
  if (rows.empty()) return {};
  return "<h2>Ranks</h2>\n<section class=\"box wide\"><table><tr><th>mean over the run</th><th>least</th><th>middle</th>"
         "<th>greatest</th><th>most often the greatest</th></tr>\n" +
         rows + "</table></section>\n";
}

std::string starts_html(const History& history) {
  std::string rows;
  for (std::size_t i = 0; i < history.starts.size(); ++i) {
    const auto& start = history.starts[i];
    const auto hosts = start.hosts.size() <= 4
                           ? fmt::format("{}", fmt::join(start.hosts, ", "))
                           : fmt::format("{}, ... ({} hosts)", start.hosts.front(), start.hosts.size());
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", utc_text(start.time),
                        start.step, start.ranks, escape_html(hosts + (start.device.empty() ? "" : ": " + start.device)),
                        i == 0 ? std::string("first start") : changes_html(history.starts[i - 1], start));
  }
  if (rows.empty()) return {};
  return "<h2>Starts</h2>\n<section class=\"box wide\"><table><tr><th>when</th><th>behind step</th><th>ranks</th>"
         "<th>where</th><th>options that changed</th></tr>\n" +
         rows + "</table></section>\n";
}

}  // namespace ldmpi::train
