#pragma once
// From a picture of any size to the square that the codec takes.

#include <cstdint>

#include "io/image.h"

namespace ldmpi::data_tools {

/// The picture, shorter side resized to `resolution`, cropped to a square, and where the crop lay.
struct Square {
  io::Image image;
  int original_width = 0;
  int original_height = 0;
  int crop_left = 0;
  int crop_top = 0;
};

/// `place` in 0..1 is the place of the crop along the longer axis, 0.5 the centre.
[[nodiscard]] Square to_square(const io::Image& image, int resolution, float place);

/// Antialiased triangle filter.
[[nodiscard]] io::Image resize(const io::Image& image, int width, int height);
[[nodiscard]] io::Image crop(const io::Image& image, int left, int top, int width, int height);
[[nodiscard]] io::Image mirrored(const io::Image& image);
/// To 1 (luma of BT.601) or 3 channels (grey repeated).
[[nodiscard]] io::Image with_channels(const io::Image& image, int channels);

}  // namespace ldmpi::data_tools
