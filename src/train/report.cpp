#include "train/report.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/build_info.h"
#include "base/check.h"
#include "io/atomic_file.h"
#include "train/metrics_history.h"
#include "train/report_chart.h"
#include "train/report_sections.h"
#include "train/retention.h"
#include "train/run_folder.h"

namespace ldmpi::train {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxPicture = std::uint64_t{8} << 20;
constexpr std::size_t kMaxPictures = 12;
constexpr std::uint64_t kMaxConfig = std::uint64_t{1} << 20;

constexpr std::string_view kStyle = R"(
:root{--ink:#1f2937;--soft:#6b7280;--line:#e5e7eb;--paper:#fff;--back:#f8fafc}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink)}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1200px;margin:0 auto;padding:32px 24px 48px}
h1{font-size:26px;font-weight:650;margin:0;overflow-wrap:anywhere}
h2{font-size:17px;font-weight:650;margin:36px 0 12px}
.sub,.note,footer{color:var(--soft)}
.sub{margin:4px 0 20px;overflow-wrap:anywhere}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px}
.card,.chart,.picture,.box{background:var(--paper);border:1px solid var(--line);border-radius:10px}
.card{padding:12px 16px}
.card b{display:block;font-size:22px;font-weight:600;font-variant-numeric:tabular-nums}
.card span{color:var(--soft);font-size:13px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(480px,100%),1fr));gap:16px}
figure{margin:0}
.chart{padding:14px 16px 8px}
.chart figcaption{display:flex;justify-content:space-between;gap:12px;margin-bottom:6px}
.chart figcaption span{color:var(--soft);font-variant-numeric:tabular-nums}
svg{display:block;width:100%;height:auto}
svg text{font-size:12px;fill:#4b5563;font-variant-numeric:tabular-nums}
.grid{stroke:var(--line);stroke-width:1}
.axis{stroke:#9ca3af;stroke-width:1}
.restart{stroke:#dc2626;stroke-width:1.2;stroke-dasharray:4 4}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));gap:16px}
.picture{padding:10px}
.picture img{width:100%;border-radius:6px;image-rendering:pixelated}
.picture figcaption{color:var(--soft);font-size:13px;padding-top:6px;overflow-wrap:anywhere}
.box{padding:6px 18px 14px;columns:2 420px;column-gap:36px}
table{border-collapse:collapse;width:100%;break-inside:avoid;margin-top:10px;font-size:14px}
caption{text-align:left;font-weight:650;padding:4px 0}
td{border-top:1px solid var(--line);padding:3px 0;vertical-align:top;overflow-wrap:anywhere}
td:first-child{color:var(--soft);padding-right:16px;width:45%}
td:last-child{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:13px}
.wide{columns:1;overflow-x:auto}
.wide td,.wide td:first-child{width:auto;padding:3px 16px 3px 0;font-family:inherit;font-size:13px;color:inherit}
th{text-align:left;font-size:13px;color:var(--soft);font-weight:600;padding:4px 16px 4px 0}
.keys{margin:4px 0 6px}
.key{display:inline-block;margin-right:18px;font-size:13px}
.key i{display:inline-block;width:11px;height:11px;border-radius:2px;margin-right:6px}
footer{margin-top:36px;font-size:13px}
@media print{body{background:#fff}main{padding:0}}
)";

struct Panel {
  std::string_view key, title, unit, colour;
  bool logarithmic;
};
constexpr std::array<Panel, 8> kPanels{{{"loss", "Training loss", "", "#2563eb", true},
                                        {"validation_loss", "Validation loss", "", "#7c3aed", true},
                                        {"lr", "Learning rate", "", "#0d9488", false},
                                        {"grad_norm", "Gradient norm", "", "#d97706", true},
                                        {"samples_per_second", "Speed", "samples/s", "#059669", false},
                                        {"tflops", "Arithmetic of a device", "TFLOP/s", "#0369a1", false},
                                        {"peak_share", "Share of peak", "", "#4d7c0f", false},
                                        {"data_wait_ms", "Wait for data", "ms", "#db2777", false}}};

std::string base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k)
      word = (word << 8) | (k < count ? std::to_integer<std::uint32_t>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) text += k <= count ? kDigits[(word >> (18 - 6 * k)) & 63U] : '=';
  }
  return text;
}

bool is_png(std::span<const std::byte> bytes) {
  constexpr std::array<unsigned char, 8> kSignature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  return bytes.size() > kSignature.size() && std::equal(kSignature.begin(), kSignature.end(), bytes.begin(),
                                                        [](unsigned char a, std::byte b) { return std::byte{a} == b; });
}

History history_of(const RunFolder& run, std::string& notes) {
  std::error_code ignored;
  if (!fs::exists(run.metrics(), ignored)) return {};
  try {
    return read_history(run.metrics());
  } catch (const Error& error) {
    notes += fmt::format("<p class=\"note\">{}</p>\n", escape_html(error.what()));
    return {};
  }
}

std::string card(std::string_view value, std::string_view label) {
  return fmt::format("<div class=\"card\"><b>{}</b><span>{}</span></div>\n", escape_html(value), escape_html(label));
}

std::string cards(const History& history, const RunFolder& run) {
  std::string html = "<section class=\"cards\">\n";
  const auto last = [&](const char* key) -> std::optional<std::pair<std::int64_t, double>> {
    const auto found = history.series.find(key);
    if (found == history.series.end() || found->second.empty()) return {};
    return found->second.back();
  };
  if (const auto loss = last("loss")) {
    html += card(fmt::format("{}", loss->first), "steps");
    html += card(fmt::format("{:.4f}", loss->second), "loss of the last step");
  }
  if (const auto loss = last("validation_loss")) html += card(fmt::format("{:.4f}", loss->second), "validation loss");
  if (const auto found = history.series.find("samples_per_second"); found != history.series.end()) {
    std::vector<double> speeds;
    for (const auto& [step, speed] : found->second) speeds.push_back(speed);
    const auto middle = speeds.begin() + static_cast<std::ptrdiff_t>(speeds.size() / 2);
    std::nth_element(speeds.begin(), middle, speeds.end());
    html += card(fmt::format("{:.1f}", *middle), "samples/s (median)");
  }
  html += card(fmt::format("{}", history.restarts.size()), history.restarts.size() == 1 ? "restart" : "restarts");
  if (const std::string latest = read_latest(run.checkpoints()); !latest.empty())
    html += card(latest, "newest checkpoint");
  return html + "</section>\n";
}

std::string curves(const History& history) {
  std::string html = "<h2>Curves</h2>\n<section class=\"charts\">\n";
  for (const Panel& panel : kPanels) {
    const auto found = history.series.find(std::string(panel.key));
    if (found == history.series.end()) continue;
    html += chart_html({.title = std::string(panel.title),
                        .unit = std::string(panel.unit),
                        .colour = std::string(panel.colour),
                        .logarithmic = panel.logarithmic,
                        .points = found->second,
                        .restarts = history.restarts});
  }
  html += "</section>\n";
  if (history.series.empty()) html += "<p class=\"note\">no step has been recorded yet</p>\n";
  if (!history.restarts.empty())
    html += "<p class=\"note\">Dashed red lines: the run was restarted from that step.</p>\n";
  return html;
}

/// The newest pictures by name, oldest of them first.
std::string pictures(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ".png") paths.push_back(entry.path());
  if (paths.empty()) return {};
  std::sort(paths.begin(), paths.end());
  const std::size_t skipped = paths.size() > kMaxPictures ? paths.size() - kMaxPictures : 0;
  std::string html = "<h2>Samples</h2>\n<section class=\"pictures\">\n";
  std::string notes;
  if (skipped > 0) notes += fmt::format("<p class=\"note\">{} older pictures are in samples/</p>\n", skipped);
  for (std::size_t i = skipped; i < paths.size(); ++i) {
    const std::string name = escape_html(paths[i].filename().string());
    try {
      const std::vector<std::byte> bytes = io::read_file(paths[i], kMaxPicture);
      require(is_png(bytes), Exit::BadData, "it is not a PNG file");
      html += fmt::format(
          "<figure class=\"picture\"><img alt=\"{0}\" src=\"data:image/png;base64,{1}\"/>"
          "<figcaption>{0}</figcaption></figure>\n",
          name, base64(bytes));
    } catch (const Error& problem) {
      notes += fmt::format("<p class=\"note\">{} is left out: {}</p>\n", name, escape_html(problem.what()));
    }
  }
  return html + "</section>\n" + notes;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

/// The INI file as one table per section.
std::string configuration(const fs::path& file) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return {};
  std::string text;
  try {
    text = io::read_text_file(file, kMaxConfig);
  } catch (const Error& error) {
    return fmt::format("<h2>Configuration</h2>\n<p class=\"note\">{}</p>\n", escape_html(error.what()));
  }
  std::string html = "<h2>Configuration</h2>\n<section class=\"box\"><table><caption>run</caption>\n";
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    const std::size_t equals = line.find('=');
    if (line.front() == '[' && line.back() == ']')
      html += fmt::format("</table><table><caption>{}</caption>\n", escape_html(line.substr(1, line.size() - 2)));
    else if (equals != std::string_view::npos)
      html += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escape_html(trimmed(line.substr(0, equals))),
                          escape_html(trimmed(line.substr(equals + 1))));
  }
  return html + "</table></section>\n";
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &parts);
  return text.data();
}

}  // namespace

std::string report_html(const fs::path& root) {
  const RunFolder run(fs::absolute(root).lexically_normal());
  std::error_code error;
  require(fs::is_directory(run.root(), error), Exit::MissingInput, "there is no run folder {}", run.root().string());
  require(run.is_used(), Exit::MissingInput,
          "{} is not a run folder: it has no config.cfg, metrics.jsonl or checkpoints. Give the output_dir of a "
          "training run",
          run.root().string());
  const fs::path named = run.root().has_filename() ? run.root() : run.root().parent_path();
  const std::string name = escape_html(named.filename().string());
  std::string notes;
  const History history = history_of(run, notes);
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>{0} - training "
      "report</title>\n"
      "<style>{1}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n<p class=\"sub\">{2}</p>\n",
      name, kStyle, escape_html(named.string()));
  html += cards(history, run) + notes + curves(history) + phases_html(history) + ranks_html(history) +
          pictures(run.samples()) + starts_html(history) + configuration(run.config());
  html +=
      fmt::format("<footer>ldmpi {} on {}</footer>\n</main>\n</body>\n</html>\n", escape_html(version()), now_text());
  return html;
}

void write_report(const fs::path& run, const fs::path& target) {
  io::write_file_atomically(fs::absolute(target), report_html(run));
}

}  // namespace ldmpi::train
