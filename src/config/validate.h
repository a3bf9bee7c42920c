#pragma once
// Contradictions between options, each with its remedy. Whether files exist is not asked here: that is missing input,
// not a wrong option.

#include "config/faults.h"
#include "config/parse.h"

namespace ldmpi::config {

/// Options that the command needs and that were not given.
void find_missing(const CommandConfig& config, Faults& faults);
/// Options that exclude each other.
void find_contradictions(const CommandConfig& config, Faults& faults);

}  // namespace ldmpi::config
