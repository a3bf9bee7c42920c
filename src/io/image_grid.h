#pragma once
// Pictures side by side.

#include <span>

#include "io/image.h"

namespace ldmpi::io {

/// Equal-sized pictures in rows of `columns`, with a white line of `gap` pixels between them. Gray and colour may mix;
/// the grid has three channels if one picture has. Errors: BadConfig for no pictures or unequal sizes.
[[nodiscard]] Image make_grid(std::span<const Image> pictures, int columns, int gap = 2);

}  // namespace ldmpi::io
