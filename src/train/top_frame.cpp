#include "train/top_frame.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "train/progress.h"

namespace ldmpi::train {
namespace {

constexpr double kSilentSeconds = 60;   // without a line, and
constexpr double kSilentSteps = 20;     // longer than so many steps take: something is wrong
constexpr std::size_t kBarColumns = 24;
constexpr std::size_t kSparkColumns = 40;

constexpr std::array<std::string_view, 8> kBlocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 8> kAscii{"_", ".", "-", "=", "+", "*", "#", "@"};

struct TopPhase {
  std::string_view key, name;
};
constexpr std::array<TopPhase, 6> kTopPhases{{{"data_wait_ms", "wait for data"},
                                        {"data_ms", "inputs"},
                                        {"forward_ms", "forward"},
                                        {"backward_ms", "backward"},
                                        {"communicate_ms", "exposed communication"},
                                        {"optimize_ms", "optimizer"}}};

struct TopRankRow {
  std::string_view key, name;
  int digits;
};
constexpr std::array<TopRankRow, 7> kTopRanks{{{"compute_ms", "forward + backward ms", 2},
                                            {"data_wait_ms", "wait for data ms", 2},
                                            {"resident_mib", "memory of the process MiB", 0},
                                            {"gpu_memory_mib", "memory of the GPU MiB", 0},
                                            {"gpu_utilisation", "GPU busy %", 0},
                                            {"gpu_power_w", "GPU power W", 0},
                                            {"gpu_temperature_c", "GPU temperature C", 0}}};

std::string bar_text(double share, std::size_t width, bool blocks) {
  const auto full = static_cast<std::size_t>(std::llround(std::clamp(share, 0.0, 1.0) * static_cast<double>(width)));
  std::string text;
  for (std::size_t i = 0; i < width; ++i)
    text += i < full ? (blocks ? std::string_view("█") : "#") : (blocks ? std::string_view("░") : ".");
  return text;
}

std::string condition_text(const RunPicture& p, double now) {
  if (!p.started) return "no record yet";
  const bool complete = p.last_step > 0 && p.step >= p.last_step;
  if (complete && p.final_model) return "finished";
  if (!p.time) return "unknown";
  const double age = std::max(0.0, now - *p.time);
  const double patience = std::max(kSilentSeconds, kSilentSteps * p.value("step_ms").value_or(0) * 1e-3);
  return fmt::format("{}, last line {} ago", age > patience ? "silent" : complete ? "ending" : "running",
                     duration_text(age));
}

class Frame {
 public:
  Frame(const RunPicture& picture, const FrameOptions& options) : p_(picture), o_(options) {}

  std::vector<std::string> make() {
    head();
    if (p_.started) {
      curves();
      phases();
      ranks();
    }
    add("checkpoint", p_.checkpoint.empty() ? "none yet" : p_.checkpoint + stall());
    if (p_.restarts > 0) add("restarts", fmt::format("{}", p_.restarts));
    for (std::size_t i = 0; i < p_.warnings.size(); ++i) add(i == 0 ? "log" : "", p_.warnings[i]);
    for (auto& line : lines_) line = std::string(fitting(line, o_.columns));
    return std::move(lines_);
  }

 private:
  void add(std::string_view label, const std::string& text) { lines_.push_back(fmt::format("{:<11}{}", label, text)); }

  void head() {
    add("run", fmt::format("{}   {}", o_.name, condition_text(p_, o_.now)));
    if (!p_.started) return;
    std::string text = fmt::format("{}", p_.step);
    if (p_.last_step > 0) {
      const double share = static_cast<double>(p_.step) / static_cast<double>(p_.last_step);
      text += fmt::format(" / {}  {} {:5.1f} %", p_.last_step, bar_text(share, kBarColumns, o_.blocks), 100 * share);
    }
    if (const auto eta = p_.value("eta_s"); eta && p_.time && p_.step < p_.last_step) {
      const double end = *p_.time + *eta;
      text += fmt::format("   eta {}", duration_text(std::max(0.0, end - o_.now)));
      if (p_.job_end)
        text += fmt::format(", the job's time ends in {}{}", duration_text(std::max(0.0, *p_.job_end - o_.now)),
                            end > *p_.job_end ? ": too short" : "");
    }
    add("step", text);
  }

  void curves() {
    std::string loss = fmt::format("{:<10}{}", number("loss", "{:.4f}"), spark(p_.loss));
    for (const auto& [key, name] : {std::pair{"validation_loss", "validation"}, std::pair{"grad_norm", "gradient norm"}})
      if (p_.value(key)) loss += fmt::format("  {} {}", name, number(key, "{:.4g}"));
    add("loss", loss + fmt::format("  lr {}", number("lr", "{:.2e}")));
    std::string speed =
        fmt::format("{:<10}{}  samples/s", number("samples_per_second", "{:.1f}"), spark(p_.speed));
    if (p_.value("tflops")) speed += fmt::format("  {} TFLOP/s", number("tflops", "{:.3g}"));
    if (const auto share = p_.value("peak_share")) speed += fmt::format(", {:.1f} % of peak", 100 * *share);
    add("speed", speed);
  }

  void phases() {
    const auto step = p_.value("step_ms");
    if (!step || *step <= 0) return;
    add("a step", fmt::format("{:>9.2f} ms", *step));
    double rest = *step;
    auto row = [&](std::string_view name, double ms) {
      add("", fmt::format("{:>9.2f} ms {:5.1f} %  {}  {}", ms, 100 * ms / *step, bar_text(ms / *step, kBarColumns, o_.blocks), name));
    };
    for (const auto& phase : kTopPhases)
      if (const auto ms = p_.value(phase.key)) {
        row(phase.name, *ms);
        rest -= *ms;
      }
    row("the rest", std::max(rest, 0.0));
  }

  void ranks() {
    std::string text = fmt::format("{}", p_.ranks);
    if (p_.hosts > 0) text += fmt::format(" on {} host{}", p_.hosts, p_.hosts == 1 ? "" : "s");
    if (!p_.device.empty()) text += "   " + p_.device;
    add("ranks", text);
    bool headed = false;
    for (const auto& row : kTopRanks) {
      const std::string key(row.key);
      const auto least = p_.value(key + "_min"), middle = p_.value(key + "_median"), most = p_.value(key + "_max");
      if (!least || !middle || !most) continue;
      if (!headed) add("", fmt::format("{:<27}{:>10}{:>10}{:>10}", "", "min", "median", "max"));
      headed = true;
      const auto who = p_.who.find(key);
      text = fmt::format("{:<27}{:>10.{}f}{:>10.{}f}{:>10.{}f}", row.name, *least, row.digits, *middle, row.digits, *most,
                         row.digits);
      if (who != p_.who.end() && p_.ranks > 1) text += "  " + who->second;
      if (const auto plan = p_.value("planned_mib"); plan && row.key == "resident_mib")
        text += fmt::format("  planned {:.0f}", *plan);
      add("", text);
    }
  }

  [[nodiscard]] std::string stall() const {
    const auto stall = p_.value("checkpoint_stall_ms");
    return stall ? fmt::format("   training waited {:.1f} ms for it", *stall) : "";
  }

  [[nodiscard]] std::string number(std::string_view key, const char* format) const {
    const auto value = p_.value(key);
    return value ? fmt::format(fmt::runtime(format), *value) : "-";
  }

  [[nodiscard]] std::string spark(const Trail& trail) const {
    const auto means = trail.means(kSparkColumns);
    return sparkline(means, o_.blocks);
  }

  const RunPicture& p_;
  const FrameOptions& o_;
  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> top_frame(const RunPicture& picture, const FrameOptions& options) {
  return Frame(picture, options).make();
}

std::string sparkline(std::span<const double> values, bool blocks) {
  const auto& steps = blocks ? kBlocks : kAscii;
  if (values.empty()) return {};
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  std::string text;
  for (const double value : values) {
    const double share = *high > *low ? (value - *low) / (*high - *low) : 0.5;
    text += steps[std::min(steps.size() - 1, static_cast<std::size_t>(share * static_cast<double>(steps.size())))];
  }
  return text;
}

std::string_view fitting(std::string_view text, std::size_t columns) {
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool begins = (static_cast<unsigned char>(text[at]) & 0xc0) != 0x80;
    if (begins && used++ == columns) return text.substr(0, at);
  }
  return text;
}

}  // namespace ldmpi::train
