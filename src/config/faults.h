#pragma once
// All problems of a configuration, collected so that the user sees them at once.

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"

namespace ldmpi::config {

class Faults {
 public:
  /// `where`: "job.cfg:12", "command line", "environment LDMPI_SEED"; empty for a contradiction between options.
  void add(const std::string& where, const std::string& what) {
    lines_.push_back(where.empty() ? what : where + ": " + what);
  }
  [[nodiscard]] bool empty() const noexcept { return lines_.empty(); }
  [[nodiscard]] const std::vector<std::string>& lines() const noexcept { return lines_; }

  /// Throws Error(BadConfig) listing everything collected, if there is anything.
  void throw_if_any(const std::string& how_to_get_help) const {
    if (lines_.empty()) return;
    const std::size_t shown = std::min<std::size_t>(lines_.size(), 50);
    std::string text = fmt::format("{} problem{} in the configuration:", lines_.size(), lines_.size() == 1 ? "" : "s");
    for (std::size_t i = 0; i < shown; ++i) text += "\n  " + lines_[i];
    if (shown < lines_.size()) text += fmt::format("\n  ... and {} more", lines_.size() - shown);
    throw Error(Exit::BadConfig, text + "\n" + how_to_get_help);
  }

 private:
  std::vector<std::string> lines_;
};

}  // namespace ldmpi::config
