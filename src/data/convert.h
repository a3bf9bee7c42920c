#pragma once
// Stored numbers to scaled floats, written so that compilers vectorise the loops.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/dtype.h"

namespace ldmpi::data {

/// target[i] = (value[i] - shift) * scale for stored f16 or f32 values (unaligned bytes allowed). Returns whether every
/// stored value was finite; if not, the target is unspecified.
[[nodiscard]] bool convert_scaled(std::span<const std::byte> stored, DType dtype, float shift, float scale,
                                  std::span<float> target);

/// In place: logvar becomes exp(logvar / 2) * scale, with logvar held in -30 .. 20 as diffusers does.
void deviation_from_logvar(std::span<float> values, float scale);

}  // namespace ldmpi::data
