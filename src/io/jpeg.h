#pragma once
// JPEG decoding, apart from the other formats because of its error handling by long jumps.

#include <cstddef>
#include <span>

#include "io/image.h"

namespace ldmpi::io {

/// The picture as stored (RGB); `orientation` becomes its EXIF orientation, 1 (upright) to 8. Throws Error(BadData).
[[nodiscard]] Image decode_jpeg(std::span<const std::byte> bytes, int& orientation);

}  // namespace ldmpi::io
