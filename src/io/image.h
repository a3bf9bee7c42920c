#pragma once
// Pictures in memory, and the PNG, JPEG and WebP files they come from.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace ldmpi::io {

/// 8-bit samples, interleaved, rows from top to bottom: pixels[(y * width + x) * channels + c].
struct Image {
  int width = 0;
  int height = 0;
  int channels = 3;
  std::vector<std::uint8_t> pixels;
};

/// More pixels than this are refused before any is decoded.
inline constexpr std::int64_t kMaxPixels = std::int64_t{64} << 20;

/// Decodes a PNG, JPEG (turned upright by its EXIF orientation) or WebP file to RGB; transparency is laid over white.
/// Throws Error(BadData) for damaged, unknown, animated or too large pictures.
[[nodiscard]] Image decode_image(std::span<const std::byte> bytes);

/// A PNG file of 1 (grey), 3 (RGB) or 4 (RGBA) channels.
[[nodiscard]] std::vector<std::byte> encode_png(const Image& image);

/// encode_png and write_file_atomically.
void write_png(const std::filesystem::path& path, const Image& image);

}  // namespace ldmpi::io
