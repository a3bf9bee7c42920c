#pragma once
// What a GPU could do at most, for the share of peak.

#include <optional>
#include <string_view>

#include "config/config.h"

namespace ldmpi::train {

/// Dense TFLOP/s of the data sheet for a device as its driver names it ("NVIDIA H100 80GB HBM3, ..."), in the units
/// that a run of this precision uses. Nothing for devices that are not in the table, and for every CPU.
[[nodiscard]] std::optional<double> known_peak_tflops(std::string_view device, config::Precision precision);

}  // namespace ldmpi::train
