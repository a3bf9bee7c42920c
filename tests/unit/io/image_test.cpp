#include "io/image.h"

#include <webp/encode.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <jpeglib.h>

#include "base/rng.h"
#include "scratch.h"

namespace ldmpi::io {
namespace {

using test::expect_error;
using Bytes = std::vector<std::byte>;

Bytes bytes_of(std::string_view text) {
  const auto span = test::bytes_of(text);
  return {span.begin(), span.end()};
}

/// Left half dark red, right half light blue, and a green spot at the top left.
Image scene(int width = 48, int height = 32) {
  Image image{width, height, 3, {}};
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const bool is_spot = x < 8 && y < 8;
      const bool is_left = x < width / 2;
      for (const int value : is_spot   ? std::array{0, 200, 0}
                             : is_left ? std::array{150, 20, 20}
                                       : std::array{150, 180, 250})
        image.pixels.push_back(static_cast<std::uint8_t>(value));
    }
  return image;
}

const std::uint8_t* pixel(const Image& image, int x, int y) {
  return image.pixels.data() +
         (static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width) + static_cast<std::size_t>(x)) *
             static_cast<std::size_t>(image.channels);
}

bool is_green(const Image& image, int x, int y) {
  const std::uint8_t* p = pixel(image, x, y);
  return p[0] < 80 && p[1] > 140 && p[2] < 80;
}

struct JpegOptions {
  int orientation = 0;  // 0: no EXIF block
  bool is_big_endian = false;
  bool is_progressive = false;
  bool is_grey = false;
  bool is_cmyk = false;
};

Bytes encode_jpeg(const Image& image, const JpegOptions& options = {}) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &memory, &size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = options.is_cmyk ? 4 : 3;
  info.in_color_space = options.is_cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 95, TRUE);
  if (options.is_grey) jpeg_set_colorspace(&info, JCS_GRAYSCALE);
  if (options.is_progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  if (options.orientation != 0) {
    const auto value = static_cast<char>(options.orientation);
    std::string exif("Exif\0\0", 6);
    if (options.is_big_endian)
      exif += std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19) + value + std::string(6, '\0');
    else
      exif += std::string("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0", 18) + value + std::string(7, '\0');
    jpeg_write_marker(&info, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(exif.data()),
                      static_cast<unsigned>(exif.size()));
  }
  std::vector<std::uint8_t> row(static_cast<std::size_t>(image.width) * 4);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const auto width = static_cast<std::size_t>(info.input_components);
      std::uint8_t* target = row.data() + static_cast<std::size_t>(x) * width;
      std::memcpy(target, pixel(image, x, y), 3);
      if (options.is_cmyk) target[3] = 255;  // inverted: no black
    }
    JSAMPROW line = row.data();
    jpeg_write_scanlines(&info, &line, 1);
  }
  jpeg_finish_compress(&info);
  Bytes bytes(reinterpret_cast<std::byte*>(memory), reinterpret_cast<std::byte*>(memory) + size);
  jpeg_destroy_compress(&info);
  std::free(memory);
  return bytes;
}

Bytes encode_webp(const Image& image) {
  std::uint8_t* memory = nullptr;
  const std::size_t size =
      image.channels == 4
          ? WebPEncodeLosslessRGBA(image.pixels.data(), image.width, image.height, image.width * 4, &memory)
          : WebPEncodeLosslessRGB(image.pixels.data(), image.width, image.height, image.width * 3, &memory);
  Bytes bytes(reinterpret_cast<std::byte*>(memory), reinterpret_cast<std::byte*>(memory) + size);
  WebPFree(memory);
  return bytes;
}

Image translucent() {
  return {2, 2, 4, {0, 0, 0, 0, 10, 20, 30, 255, 100, 100, 100, 128, 0, 0, 255, 64}};
}
// v * a / 255 + 255 - a, rounded
const std::vector<std::uint8_t> kTranslucentOverWhite = {255, 255, 255, 10, 20, 30, 177, 177, 177, 191, 191, 255};

TEST(Image, PngRoundTrip) {
  const Image image = scene(47, 31);
  const Image back = decode_image(encode_png(image));
  EXPECT_EQ(back.width, 47);
  EXPECT_EQ(back.height, 31);
  EXPECT_EQ(back.channels, 3);
  EXPECT_EQ(back.pixels, image.pixels);
}

TEST(Image, GreyPngBecomesRgb) {
  const Image back = decode_image(encode_png({2, 1, 1, {7, 250}}));
  EXPECT_EQ(back.pixels, (std::vector<std::uint8_t>{7, 7, 7, 250, 250, 250}));
}

TEST(Image, AlphaIsLaidOverWhite) {
  EXPECT_EQ(decode_image(encode_png(translucent())).pixels, kTranslucentOverWhite);
}

TEST(Image, WritesPngFiles) {
  const test::Scratch folder;
  write_png(folder / "a.png", scene());
  EXPECT_EQ(decode_image(bytes_of(test::get(folder / "a.png"))).pixels, scene().pixels);
}

TEST(Image, WebpWithAndWithoutAlpha) {
  EXPECT_EQ(decode_image(encode_webp(scene())).pixels, scene().pixels);
  Image picture = translucent();
  picture.pixels[0] = 255;  // colour under full transparency does not survive lossless WebP
  EXPECT_EQ(decode_image(encode_webp(picture)).pixels, kTranslucentOverWhite);
}

TEST(Image, JpegIsCloseToTheOriginal) {
  for (const bool is_progressive : {false, true}) {
    const Image back = decode_image(encode_jpeg(scene(), {.is_progressive = is_progressive}));
    ASSERT_EQ(back.pixels.size(), scene().pixels.size());
    EXPECT_TRUE(is_green(back, 3, 3));
    EXPECT_NEAR(pixel(back, 40, 20)[2], 250, 10);
  }
}

TEST(Image, GreyAndCmykJpegBecomeRgb) {
  const Image grey = decode_image(encode_jpeg(scene(), {.is_grey = true}));
  EXPECT_EQ(grey.channels, 3);
  EXPECT_EQ(pixel(grey, 40, 20)[0], pixel(grey, 40, 20)[2]);
  const Image cmyk = decode_image(encode_jpeg(scene(), {.is_cmyk = true}));
  EXPECT_TRUE(is_green(cmyk, 3, 3));
  EXPECT_NEAR(pixel(cmyk, 40, 20)[2], 250, 10);
}

TEST(Image, ExifOrientationTurnsTheSpotToItsCorner) {
  // Where the spot, stored at the top left, must be seen: columns and rows counted from the right or bottom if true.
  const struct {
    int orientation;
    bool is_right, is_bottom;
  } cases[] = {{1, false, false}, {2, true, false}, {3, true, true}, {4, false, true},
               {5, false, false}, {6, true, false}, {7, true, true}, {8, false, true}};
  for (const auto& expected : cases)
    for (const bool is_big_endian : {false, true}) {
      const Image image =
          decode_image(encode_jpeg(scene(), {.orientation = expected.orientation, .is_big_endian = is_big_endian}));
      EXPECT_EQ(image.width, expected.orientation < 5 ? 48 : 32);
      EXPECT_EQ(image.height, expected.orientation < 5 ? 32 : 48);
      EXPECT_TRUE(is_green(image, expected.is_right ? image.width - 4 : 3, expected.is_bottom ? image.height - 4 : 3))
          << expected.orientation;
    }
  // 5 and 7 mirror, 6 and 8 do not: the dark half is stored at the left, so it is seen at the top.
  EXPECT_GT(pixel(decode_image(encode_jpeg(scene(), {.orientation = 5})), 16, 40)[2], 200);
  EXPECT_GT(pixel(decode_image(encode_jpeg(scene(), {.orientation = 6})), 16, 40)[2], 200);
  EXPECT_GT(pixel(decode_image(encode_jpeg(scene(), {.orientation = 8})), 16, 8)[2], 200);
  EXPECT_GT(pixel(decode_image(encode_jpeg(scene(), {.orientation = 7})), 16, 8)[2], 200);
  EXPECT_EQ(decode_image(encode_jpeg(scene(), {.orientation = 9})).width, 48) << "a wrong value means upright";
}

TEST(Image, TruncatedPicturesAreRefused) {
  for (const Bytes& whole : {encode_png(scene()), encode_jpeg(scene()), encode_jpeg(scene(), {.is_progressive = true}),
                             encode_webp(scene())})
    for (const std::size_t keep : {whole.size() / 8, whole.size() / 2, whole.size() - 40}) {
      const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(keep));
      expect_error(Exit::BadData, "", [&] { (void)decode_image(part); });
    }
}

TEST(Image, OtherContentIsRefused) {
  for (const char* text : {"", "GIF89a", "\x89PNG", "RIFF1234WEBP", "\xff\xd8\xff\xe0", "hello"})
    expect_error(Exit::BadData, "", [&] { (void)decode_image(bytes_of(text)); });
}

/// CRC-32 of zlib, for a forged chunk.
std::uint32_t crc32(std::string_view bytes) {
  std::uint32_t crc = ~0U;
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1U ? 0xedb88320U : 0U);
  }
  return ~crc;
}

TEST(Image, TooManyPixelsAreRefusedBeforeDecoding) {
  std::string png;
  for (const std::byte byte : encode_png(scene())) png += static_cast<char>(byte);
  png.replace(16, 8, std::string("\0\0\x40\0\0\0\x40\0", 8));  // 16384 x 16384
  const std::uint32_t crc = crc32(png.substr(12, 17));
  for (std::size_t i = 0; i < 4; ++i) png[29 + i] = static_cast<char>(crc >> (24 - 8 * i));
  expect_error(Exit::BadData, "16384 x 16384", [&] { (void)decode_image(bytes_of(png)); });

  Bytes jpeg = encode_jpeg(scene());
  for (std::size_t i = 0; i + 8 < jpeg.size(); ++i)
    if (jpeg[i] == std::byte{0xff} && jpeg[i + 1] == std::byte{0xc0})
      for (std::size_t k = 5; k < 9; ++k) jpeg[i + k] = std::byte{0xf0};
  expect_error(Exit::BadData, "61680 x 61680", [&] { (void)decode_image(jpeg); });
}

TEST(Image, SurvivesRandomMutations) {
  const Bytes originals[] = {encode_png(scene()), encode_jpeg(scene(), {.orientation = 6}),
                             encode_jpeg(scene(), {.is_progressive = true}), encode_webp(scene())};
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Bytes bytes = originals[seed % 4];
    const Draw draw{.seed = seed, .purpose = Purpose::Synthetic};
    for (std::uint32_t edit = 0; edit < 3; ++edit)
      bytes[draw.below(edit * 2, static_cast<std::uint32_t>(bytes.size()))] =
          static_cast<std::byte>(draw.below(edit * 2 + 1, 256));
    try {
      const Image image = decode_image(bytes);
      ASSERT_EQ(image.pixels.size(),
                static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3);
    } catch (const Error& error) {
      ASSERT_EQ(static_cast<int>(error.code()), static_cast<int>(Exit::BadData)) << error.what();
    }
  }
}

}  // namespace
}  // namespace ldmpi::io
