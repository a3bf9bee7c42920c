#include "train/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/log.h"

namespace ldmpi::train {

namespace {

constexpr double kSecondsBetweenPaints = 0.1;
constexpr double kSmoothing = 0.1;  // weight of the newest step in the pace

// A line that is longer than the terminal wraps, and could not be painted over.
std::size_t columns_of_terminal() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1U : std::string::npos;
}

}  // namespace

std::string duration_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::llround(std::clamp(seconds, 0.0, 1e12)));
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m {:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h {:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d {:02}h", s / 86400, s / 3600 % 24);
}

std::string progress_text(const ProgressValues& v, std::int64_t last_step) {
  std::string text =
      fmt::format("step {}/{}  eta {}  loss {:.4f}  {:.1f} samples/s", v.step, last_step,
                  v.eta_seconds ? duration_text(*v.eta_seconds) : "?", v.loss, v.samples_per_second);
  if (v.tflops) text += fmt::format("  {:.3g} TFLOP/s", *v.tflops);
  if (v.peak_share) text += fmt::format(" ({:.0f} %)", 100 * *v.peak_share);
  text += fmt::format("  lr {:.2e}", v.lr);
  if (v.data_share) text += fmt::format("  data {:.0f} %", 100 * *v.data_share);
  if (v.communicate_share) text += fmt::format("  comm {:.0f} %", 100 * *v.communicate_share);
  return text;
}

void Pace::add(std::int64_t step) {
  const Clock::time_point now = Clock::now();
  if (seen_step_ && step > *seen_step_) {
    const auto steps = static_cast<double>(step - *seen_step_);
    const double pace = std::chrono::duration<double>(now - seen_time_).count() / steps;
    seconds_per_step_ =
        seconds_per_step_ == 0.0 ? pace : pace + (seconds_per_step_ - pace) * std::pow(1.0 - kSmoothing, steps);
  }
  seen_step_ = step;
  seen_time_ = now;
}

std::optional<double> Pace::seconds_to(std::int64_t step) const {
  if (seconds_per_step_ == 0.0) return {};
  return seconds_per_step_ * static_cast<double>(step - seen_step_.value_or(step));
}

Progress::Progress(ProgressOptions options)
    : options_(options), terminal_(options.terminal.value_or(::isatty(STDERR_FILENO) == 1)) {}

void Progress::show(const ProgressValues& values) {
  const bool last = values.step >= options_.last_step;
  if (!terminal_) {
    if (last || values.step == options_.first_step + 1 || values.step % options_.every == 0)
      log::info("{}", progress_text(values, options_.last_step));
    return;
  }
  if (painted_ && !last && seconds_since(paint_time_) < kSecondsBetweenPaints) return;
  // The cursor goes back to the begin of the line, so that a log message that comes now overwrites it.
  std::fprintf(stderr, "\x1b[K%s\r", progress_text(values, options_.last_step).substr(0, columns_of_terminal()).c_str());
  std::fflush(stderr);
  painted_ = true;
  paint_time_ = Clock::now();
}

void Progress::end() {
  if (!painted_) return;
  std::fputc('\n', stderr);
  std::fflush(stderr);
  painted_ = false;
}

}  // namespace ldmpi::train
