#include "io/image_grid.h"

#include <algorithm>

#include "base/check.h"

namespace ldmpi::io {

Image make_grid(std::span<const Image> pictures, int columns, int gap) {
  require(!pictures.empty() && columns >= 1, Exit::BadConfig, "a grid needs at least one picture and one column");
  const int width = pictures[0].width;
  const int height = pictures[0].height;
  int channels = 1;
  for (const auto& picture : pictures) {
    require(picture.width == width && picture.height == height, Exit::BadConfig,
            "the pictures of a grid must have one size");
    channels = std::max(channels, picture.channels);
  }
  const int count = static_cast<int>(pictures.size());
  columns = std::min(columns, count);
  const int rows = (count + columns - 1) / columns;
  Image grid{columns * (width + gap) - gap, rows * (height + gap) - gap, channels, {}};
  grid.pixels.assign(
      static_cast<std::size_t>(grid.width) * static_cast<std::size_t>(grid.height) * static_cast<std::size_t>(channels),
      255);
  for (int i = 0; i < count; ++i) {
    const auto& picture = pictures[static_cast<std::size_t>(i)];
    const int left = i % columns * (width + gap);
    const int top = i / columns * (height + gap);
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x)
        for (int c = 0; c < channels; ++c) {
          const int from = (y * width + x) * picture.channels + std::min(c, picture.channels - 1);
          const int to = ((top + y) * grid.width + left + x) * channels + c;
          grid.pixels[static_cast<std::size_t>(to)] = picture.pixels[static_cast<std::size_t>(from)];
        }
  }
  return grid;
}

}  // namespace ldmpi::io
