#pragma once
// Offsets for slices whose lifetimes are known.

#include <vector>

#include "plan/plan.h"

namespace ldmpi::plan {

/// Gives each slice an offset so that slices alive together do not overlap; returns the bytes needed. Several
/// deterministic orders are tried and the smallest result kept.
std::int64_t place_slices(std::vector<Slice>& slices);

/// The largest sum of bytes alive at one node.
[[nodiscard]] std::int64_t peak_live_bytes(const std::vector<Slice>& slices);

}  // namespace ldmpi::plan
