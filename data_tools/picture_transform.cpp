#include "picture_transform.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"

namespace ldmpi::data_tools {
namespace {

/// The source pixels that make one target pixel, and their weights.
struct Taps {
  int first = 0;
  std::vector<float> weights;
};

std::vector<Taps> taps_for(int source, int target) {
  const float scale = static_cast<float>(source) / static_cast<float>(target);
  const float reach = std::max(1.0F, scale);  // widened when shrinking, so that every source pixel counts
  std::vector<Taps> all(static_cast<std::size_t>(target));
  for (int i = 0; i < target; ++i) {
    const float center = (static_cast<float>(i) + 0.5F) * scale - 0.5F;
    Taps& taps = all[static_cast<std::size_t>(i)];
    taps.first = std::max(0, static_cast<int>(std::ceil(center - reach)));
    const int last = std::min(source - 1, static_cast<int>(std::floor(center + reach)));
    float sum = 0;
    for (int j = taps.first; j <= last; ++j) {
      taps.weights.push_back(std::max(0.0F, 1.0F - std::abs(static_cast<float>(j) - center) / reach));
      sum += taps.weights.back();
    }
    for (float& weight : taps.weights) weight /= sum;
  }
  return all;
}

}  // namespace

io::Image resize(const io::Image& image, int width, int height) {
  if (width == image.width && height == image.height) return image;
  const auto channels = static_cast<std::size_t>(image.channels);
  const auto source_width = static_cast<std::size_t>(image.width);
  const auto target_width = static_cast<std::size_t>(width);
  const auto across = taps_for(image.width, width);
  const auto down = taps_for(image.height, height);
  std::vector<float> rows(static_cast<std::size_t>(image.height) * target_width * channels);
  for (std::size_t y = 0; y < static_cast<std::size_t>(image.height); ++y)
    for (std::size_t x = 0; x < target_width; ++x)
      for (std::size_t c = 0; c < channels; ++c) {
        float sum = 0;
        for (std::size_t k = 0; k < across[x].weights.size(); ++k)
          sum += across[x].weights[k] *
                 static_cast<float>(
                     image.pixels[(y * source_width + static_cast<std::size_t>(across[x].first) + k) * channels + c]);
        rows[(y * target_width + x) * channels + c] = sum;
      }
  io::Image out{width, height, image.channels, {}};
  out.pixels.resize(static_cast<std::size_t>(height) * target_width * channels);
  const std::size_t row = target_width * channels;
  for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y)
    for (std::size_t i = 0; i < row; ++i) {
      float sum = 0;
      for (std::size_t k = 0; k < down[y].weights.size(); ++k)
        sum += down[y].weights[k] * rows[(static_cast<std::size_t>(down[y].first) + k) * row + i];
      out.pixels[y * row + i] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(sum), 0.0F, 255.0F));
    }
  return out;
}

io::Image crop(const io::Image& image, int left, int top, int width, int height) {
  LDMPI_CHECK(left >= 0 && top >= 0 && left + width <= image.width && top + height <= image.height, "crop {}x{}+{}+{}",
              width, height, left, top);
  io::Image out{width, height, image.channels, {}};
  const auto row = static_cast<std::ptrdiff_t>(width) * image.channels;
  for (int y = 0; y < height; ++y) {
    const auto from =
        image.pixels.begin() + (static_cast<std::ptrdiff_t>(y + top) * image.width + left) * image.channels;
    out.pixels.insert(out.pixels.end(), from, from + row);
  }
  return out;
}

io::Image mirrored(const io::Image& image) {
  io::Image out = image;
  const auto channels = static_cast<std::size_t>(image.channels);
  const auto width = static_cast<std::size_t>(image.width);
  for (std::size_t y = 0; y < static_cast<std::size_t>(image.height); ++y)
    for (std::size_t x = 0; x < width; ++x)
      for (std::size_t c = 0; c < channels; ++c)
        out.pixels[(y * width + x) * channels + c] = image.pixels[(y * width + width - 1 - x) * channels + c];
  return out;
}

io::Image with_channels(const io::Image& image, int channels) {
  if (image.channels == channels) return image;
  LDMPI_CHECK((image.channels == 1 && channels == 3) || (image.channels == 3 && channels == 1), "{} to {} channels",
              image.channels, channels);
  io::Image out{image.width, image.height, channels, {}};
  if (channels == 3) {
    for (const auto value : image.pixels) out.pixels.insert(out.pixels.end(), 3, value);
    return out;
  }
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    const int luma = 299 * image.pixels[i] + 587 * image.pixels[i + 1] + 114 * image.pixels[i + 2];
    out.pixels.push_back(static_cast<std::uint8_t>((luma + 500) / 1000));
  }
  return out;
}

Square to_square(const io::Image& image, int resolution, float place) {
  Square out;
  out.original_width = image.width;
  out.original_height = image.height;
  const double scale = static_cast<double>(resolution) / std::min(image.width, image.height);
  const int width = std::max(resolution, static_cast<int>(std::lround(image.width * scale)));
  const int height = std::max(resolution, static_cast<int>(std::lround(image.height * scale)));
  out.crop_left = static_cast<int>(std::lround(static_cast<float>(width - resolution) * place));
  out.crop_top = static_cast<int>(std::lround(static_cast<float>(height - resolution) * place));
  out.image = crop(resize(image, width, height), out.crop_left, out.crop_top, resolution, resolution);
  return out;
}

}  // namespace ldmpi::data_tools
