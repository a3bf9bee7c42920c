#pragma once
// `ldmpi top`: a run as lines of text.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "train/run_watch.h"

namespace ldmpi::train {

struct FrameOptions {
  std::string name{};         ///< of the run
  std::size_t columns = 100;
  double now = 0;           ///< seconds since 1970
  bool blocks = true;       ///< the block characters of Unicode may be used
};

/// Lines of at most `columns` columns.
[[nodiscard]] std::vector<std::string> top_frame(const RunPicture& picture, const FrameOptions& options);

/// One character per value, lowest to highest.
[[nodiscard]] std::string sparkline(std::span<const double> values, bool blocks);

/// The begin of `text` that takes at most `columns` columns; characters of UTF-8 stay whole.
[[nodiscard]] std::string_view fitting(std::string_view text, std::size_t columns);

}  // namespace ldmpi::train
