#include "io/jpeg.h"

#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstring>

// After <cstdio>: the header needs FILE.
#include <jpeglib.h>

#include <jerror.h>

#include "base/check.h"

namespace ldmpi::io {

namespace {

constexpr int kExifMarker = JPEG_APP0 + 1;
constexpr int kMaxScans = 100;  // a progressive file of thousands of scans is an attack on time

/// The library's error manager with a place to return to. Standard layout: the library hands back its first member.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void escape_with(j_common_ptr info) {
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, manager->message);
  std::longjmp(manager->escape, 1);
}

/// Lost picture data is an error; harmless oddities of cameras are not.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC)
    escape_with(info);
}

void on_progress(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaxScans) ERREXIT(info, JERR_BAD_PROGRESSION);
}

/// Reads the orientation tag (0x0112) of the first directory of an EXIF block; 1 if there is none or it is damaged.
int orientation_of(std::span<const std::uint8_t> exif) {
  constexpr std::size_t kHeader = 6;  // "Exif\0\0"
  if (exif.size() < kHeader + 8 || std::memcmp(exif.data(), "Exif\0\0", kHeader) != 0) return 1;
  const auto tiff = exif.subspan(kHeader);
  const bool is_big = tiff[0] == 'M';
  const auto read = [&](std::size_t at, std::size_t bytes) -> std::uint32_t {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value |= std::uint32_t{tiff[at + i]} << 8 * (is_big ? bytes - 1 - i : i);
    return value;
  };
  const std::size_t directory = read(4, 4);
  if (directory > tiff.size() - 2) return 1;
  const std::size_t entries = read(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = directory + 2 + i * 12;
    if (at + 12 > tiff.size()) return 1;
    if (read(at, 2) != 0x0112) continue;
    const auto value = static_cast<int>(read(at + 8, 2));
    return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/// CMYK as cameras and printers store it (inverted), in place of 4 bytes a pixel 3.
void cmyk_to_rgb(const std::uint8_t* source, std::uint8_t* target, std::size_t pixels) {
  for (std::size_t i = 0; i < pixels; ++i)
    for (std::size_t c = 0; c < 3; ++c)
      target[i * 3 + c] = static_cast<std::uint8_t>((source[i * 4 + c] * source[i * 4 + 3] + 127U) / 255U);
}

/// The decompressor itself. No object with a destructor lives in a frame that a long jump leaves: the callers own them.
class Decoder {
 public:
  Decoder() {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = [](j_common_ptr info) { escape_with(info); };
    errors_.base.emit_message = on_message;
    progress_.progress_monitor = on_progress;
    jpeg_create_decompress(&info_);
    info_.progress = &progress_;
  }
  ~Decoder() { jpeg_destroy_decompress(&info_); }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  /// False on error, with message().
  bool read_header(const std::byte* data, std::size_t size) {
    if (setjmp(errors_.escape) != 0) return false;
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(data), size);
    jpeg_save_markers(&info_, kExifMarker, 0xffff);
    jpeg_read_header(&info_, TRUE);
    is_cmyk_ = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    info_.out_color_space = is_cmyk_ ? JCS_CMYK : JCS_RGB;
    return true;
  }

  /// `row` has room for width() * 4 bytes, `pixels` for width() * height() * 3.
  bool read_pixels(std::uint8_t* pixels, std::uint8_t* row) {
    if (setjmp(errors_.escape) != 0) return false;
    jpeg_start_decompress(&info_);
    const std::size_t stride = std::size_t{info_.output_width} * 3;
    while (info_.output_scanline < info_.output_height) {
      std::uint8_t* target = pixels + info_.output_scanline * stride;
      JSAMPROW line = is_cmyk_ ? row : target;
      jpeg_read_scanlines(&info_, &line, 1);
      if (is_cmyk_) cmyk_to_rgb(row, target, info_.output_width);
    }
    jpeg_finish_decompress(&info_);
    return true;
  }

  [[nodiscard]] std::int64_t width() const { return info_.image_width; }
  [[nodiscard]] std::int64_t height() const { return info_.image_height; }
  [[nodiscard]] const char* message() const { return errors_.message; }
  /// Between read_header and read_pixels, whose end frees the markers.
  [[nodiscard]] int orientation() const {
    for (const auto* marker = info_.marker_list; marker != nullptr; marker = marker->next)
      if (marker->marker == kExifMarker) return orientation_of({marker->data, marker->data_length});
    return 1;
  }

 private:
  jpeg_decompress_struct info_{};
  ErrorManager errors_{};
  jpeg_progress_mgr progress_{};
  bool is_cmyk_ = false;
};

}  // namespace

Image decode_jpeg(std::span<const std::byte> bytes, int& orientation) {
  Decoder decoder;
  require(decoder.read_header(bytes.data(), bytes.size()), Exit::BadData, "damaged JPEG: {}", decoder.message());
  const std::int64_t width = decoder.width();
  const std::int64_t height = decoder.height();
  require(width > 0 && height > 0 && width * height <= kMaxPixels, Exit::BadData,
          "picture of {} x {} pixels: between 1 and {} pixels are accepted", width, height, kMaxPixels);
  orientation = decoder.orientation();
  Image image{static_cast<int>(width), static_cast<int>(height), 3,
              std::vector<std::uint8_t>(static_cast<std::size_t>(width * height * 3))};
  std::vector<std::uint8_t> row(static_cast<std::size_t>(width * 4));
  require(decoder.read_pixels(image.pixels.data(), row.data()), Exit::BadData, "damaged JPEG: {}", decoder.message());
  return image;
}

}  // namespace ldmpi::io
