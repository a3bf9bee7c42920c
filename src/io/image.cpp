#include "io/image.h"

#include <png.h>
#include <webp/decode.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "io/atomic_file.h"
#include "io/jpeg.h"

namespace ldmpi::io {

namespace {

using Bytes = std::span<const std::byte>;

bool begins_with(Bytes bytes, std::string_view magic, std::size_t at = 0) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

/// Throws unless a picture of this size is acceptable; called before pixels are allocated.
void check_size(std::int64_t width, std::int64_t height) {
  require(width > 0 && height > 0 && width * height <= kMaxPixels, Exit::BadData,
          "picture of {} x {} pixels: between 1 and {} pixels are accepted", width, height, kMaxPixels);
}

/// RGBA -> RGB over white, rounded.
Image over_white(int width, int height, const std::vector<std::uint8_t>& rgba) {
  const auto count = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  Image image{width, height, 3, std::vector<std::uint8_t>(count * 3)};
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned alpha = rgba[i * 4 + 3];
    for (std::size_t c = 0; c < 3; ++c)
      image.pixels[i * 3 + c] =
          static_cast<std::uint8_t>((rgba[i * 4 + c] * alpha + 255U * (255U - alpha) + 127U) / 255U);
  }
  return image;
}

/// libpng's simplified interface with its cleanup.
struct PngImage : png_image {
  PngImage() : png_image{} { version = PNG_IMAGE_VERSION; }
  ~PngImage() { png_image_free(this); }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
};

Image decode_png(Bytes bytes) {
  PngImage png;
  require(png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) != 0, Exit::BadData, "damaged PNG: {}",
          png.message);
  check_size(png.width, png.height);
  png.format = PNG_FORMAT_RGBA;
  const auto width = static_cast<int>(png.width);
  const auto height = static_cast<int>(png.height);
  std::vector<std::uint8_t> rgba(PNG_IMAGE_SIZE(png));
  require(png_image_finish_read(&png, nullptr, rgba.data(), 0, nullptr) != 0, Exit::BadData, "damaged PNG: {}",
          png.message);
  return over_white(width, height, rgba);
}

Image decode_webp(Bytes bytes) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  require(WebPGetFeatures(data, bytes.size(), &features) == VP8_STATUS_OK, Exit::BadData, "damaged WebP");
  require(features.has_animation == 0, Exit::BadData, "animated WebP: only still pictures are accepted");
  check_size(features.width, features.height);
  const auto stride = static_cast<std::size_t>(features.width) * 4;
  std::vector<std::uint8_t> rgba(stride * static_cast<std::size_t>(features.height));
  require(WebPDecodeRGBAInto(data, bytes.size(), rgba.data(), rgba.size(), static_cast<int>(stride)) != nullptr,
          Exit::BadData, "damaged or truncated WebP");
  return over_white(features.width, features.height, rgba);
}

/// Turns a picture stored with an EXIF orientation (1..8) upright.
Image upright(Image stored, int orientation) {
  if (orientation == 1) return stored;
  const bool is_turned = orientation >= 5;  // rows and columns change places
  Image image{is_turned ? stored.height : stored.width, is_turned ? stored.width : stored.height, 3, {}};
  image.pixels.resize(stored.pixels.size());
  // Where the upright pixel (x, y) is stored; flips along the stored axes.
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  std::uint8_t* target = image.pixels.data();
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x, target += 3) {
      int sx = is_turned ? y : x;
      int sy = is_turned ? x : y;
      if (flip_x) sx = stored.width - 1 - sx;
      if (flip_y) sy = stored.height - 1 - sy;
      const auto source =
          (static_cast<std::size_t>(sy) * static_cast<std::size_t>(stored.width) + static_cast<std::size_t>(sx)) * 3;
      std::copy_n(stored.pixels.data() + source, 3, target);
    }
  }
  return image;
}

}  // namespace

Image decode_image(std::span<const std::byte> bytes) {
  if (begins_with(bytes, "\x89PNG\r\n\x1a\n")) return decode_png(bytes);
  if (begins_with(bytes, "\xff\xd8\xff")) {
    int orientation = 1;
    Image stored = decode_jpeg(bytes, orientation);
    return upright(std::move(stored), orientation);
  }
  if (begins_with(bytes, "RIFF") && begins_with(bytes, "WEBP", 8)) return decode_webp(bytes);
  fail(Exit::BadData, "not a PNG, JPEG or WebP picture");
}

std::vector<std::byte> encode_png(const Image& image) {
  LDMPI_CHECK(image.width > 0 && image.height > 0, "picture of {} x {}", image.width, image.height);
  LDMPI_CHECK(image.channels == 1 || image.channels == 3 || image.channels == 4, "{} channels", image.channels);
  LDMPI_CHECK(image.pixels.size() == static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) *
                                         static_cast<std::size_t>(image.channels),
              "{} bytes for {} x {} x {}", image.pixels.size(), image.width, image.height, image.channels);
  PngImage png;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 1 ? PNG_FORMAT_GRAY : image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_RGBA;
  std::vector<std::byte> bytes(PNG_IMAGE_PNG_SIZE_MAX(png));
  png_alloc_size_t size = bytes.size();
  LDMPI_CHECK(png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr) != 0,
              "PNG encoder: {}", png.message);
  bytes.resize(size);
  return bytes;
}

void write_png(const std::filesystem::path& path, const Image& image) {
  write_file_atomically(path, encode_png(image));
}

}  // namespace ldmpi::io
