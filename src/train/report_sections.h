#pragma once
// Sections of the report of a run that are more than curves: where the time went, the ranks, the starts.

#include <string>

#include "train/metrics_history.h"

namespace ldmpi::train {

/// A stacked picture of the phases of a step over the run, with their shares. Empty without a record of phases.
[[nodiscard]] std::string phases_html(const History& history);

/// Least, middle and greatest of each value over the ranks, and who had the greatest. Empty without events "ranks".
[[nodiscard]] std::string ranks_html(const History& history);

/// Every start of the run, and which options differed from the start before. Empty without events "start".
[[nodiscard]] std::string starts_html(const History& history);

}  // namespace ldmpi::train
