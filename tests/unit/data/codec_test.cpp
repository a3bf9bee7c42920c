// Codecs, text encoders and the conversion loop.
#include "data/codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/dtype.h"
#include "base/rng.h"
#include "data/convert.h"
#include "data/text_encoder.h"

namespace ldmpi::data {
namespace {

TEST(PixelsCodec, IsLossless) {
  for (const int channels : {1, 3})
    for (const int factor : {1, 2, 4}) {
      io::Image image{24, 16, channels, {}};
      for (int i = 0; i < 24 * 16 * channels; ++i)
        image.pixels.push_back(
            static_cast<std::uint8_t>(Draw{1, Purpose::Synthetic, 2}.below(static_cast<std::uint64_t>(i), 256)));
      const auto codec = Codec::from_id(pixels_codec(channels, factor)->id());
      const Shape shape = codec->latent_shape(24, 16);
      EXPECT_EQ(shape, (Shape{channels * factor * factor, 16 / factor, 24 / factor}));
      auto latents = codec->encode(image);
      for (float& value : latents) value = from_f16(to_f16(value));  // as a shard keeps them
      const auto back = codec->decode(latents, shape);
      EXPECT_EQ(back.width, 24);
      EXPECT_EQ(back.height, 16);
      EXPECT_EQ(back.pixels, image.pixels);
      for (float& value : latents) value = (value - 0.3F) * 1.7F;
      EXPECT_EQ(decode_scaled(*codec, latents, shape, 1.7, 0.3).pixels, image.pixels);
    }
}

TEST(PixelsCodec, PlacesChannelsAsDocumented) {
  io::Image image{4, 2, 3, std::vector<std::uint8_t>(24, 0)};
  image.pixels[(1 * 4 + 3) * 3 + 2] = 255;  // y 1, x 3, blue -> channel 2*4 + 1*2 + 1, place (0,1)
  const auto latents = pixels_codec(3, 2)->encode(image);
  for (std::size_t i = 0; i < latents.size(); ++i) EXPECT_EQ(latents[i], i == 11 * 2 + 1 ? 1.0F : -1.0F) << i;
}

TEST(PixelsCodec, ClampsWhatAModelMayMake) {
  const std::vector<float> latents{-5.0F, 5.0F, std::nanf(""), 0.0F};
  EXPECT_EQ(pixels_codec(1, 1)->decode(latents, Shape{1, 2, 2}).pixels, (std::vector<std::uint8_t>{0, 255, 0, 128}));
}

TEST(PixelsCodec, RefusesWhatItCannotDo) {
  for (const char* id :
       {"", "pixels", "pixels:v1:", "pixels:v2:channels=1:unshuffle=2", "pixels:v1:channels=2:unshuffle=2",
        "pixels:v1:channels=1:unshuffle=0", "pixels:v1:channels=1", "pixels:v1:channels=1:unshuffle=2x", "vae"})
    EXPECT_THROW((void)Codec::from_id(id), Error) << id;
  EXPECT_THROW((void)pixels_codec(1, 3)->latent_shape(32, 32), Error);
}

TEST(WordsEncoder, GivesEveryWordItsVector) {
  const auto encoder = TextEncoder::from_id("words:v1:4x8:seed=5");
  EXPECT_EQ(encoder->id(), "words:v1:4x8:seed=5");
  EXPECT_EQ(encoder->context(), (Shape{4, 8}));
  EXPECT_EQ(encoder->encode(""), std::vector<float>(32, 0.0F));
  const auto boot = encoder->encode("Ankle  boot!");
  EXPECT_EQ(boot, encoder->encode("ankle boot"));
  EXPECT_NE(boot, encoder->encode("boot ankle"));
  const auto longer = encoder->encode("boot, a b c d e");
  EXPECT_TRUE(std::equal(longer.begin(), longer.begin() + 8, boot.begin() + 8)) << "boot is boot wherever it stands";
  EXPECT_EQ(std::vector<float>(boot.begin() + 16, boot.end()), std::vector<float>(16, 0.0F));
  EXPECT_NE(encoder->encode("t-shirt"), encoder->encode("shirt"));
  EXPECT_NE(TextEncoder::from_id("words:v1:4x8:seed=6")->encode("boot"), encoder->encode("boot"));
  double squares = 0;
  const auto wide = words_encoder(1, 4096, 1)->encode("boot");
  for (const float value : wide) squares += static_cast<double>(value) * value;
  EXPECT_NEAR(squares / 4096, 1.0, 0.1);
}

TEST(WordsEncoder, RefusesOtherIds) {
  for (const char* id :
       {"", "words", "words:v1:4x8", "words:v1:4x8:seed=", "words:v1:4x8:seed=1 ", "words:v1:4x8:seed=-1",
        "words:v2:4x8:seed=1", "words:v1:0x8:seed=1", "words:v1:4x99999:seed=1", "clip"})
    EXPECT_THROW((void)TextEncoder::from_id(id), Error) << id;
}

TEST(Convert, EveryHalfIsExact) {
  std::vector<std::uint16_t> halves(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    float value = 0;
    const bool finite =
        convert_scaled(std::as_bytes(std::span(halves).subspan(i, 1)), DType::F16, 0.0F, 1.0F, std::span(&value, 1));
    ASSERT_EQ(finite, std::isfinite(from_f16(halves[i]))) << i;
    if (finite) {
      ASSERT_EQ(std::bit_cast<std::uint32_t>(value), std::bit_cast<std::uint32_t>(from_f16(halves[i]))) << i;
    }
  }
}

TEST(Convert, FindsOneBadValueAmongMany) {
  for (const DType dtype : {DType::F16, DType::F32})
    for (const float bad :
         {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()})
      for (const std::size_t at : {0U, 7U, 8U, 1000U, 1030U}) {
        std::vector<float> values(1031, 2.0F);
        std::vector<std::byte> stored(values.size() * size_of(dtype));
        convert_from_float(values.data(), dtype, stored.data(), values.size());
        EXPECT_TRUE(convert_scaled(stored, dtype, 1.0F, 3.0F, values));
        EXPECT_EQ(values, std::vector<float>(1031, 3.0F));
        values.assign(1031, 2.0F);
        values[at] = bad;
        convert_from_float(values.data(), dtype, stored.data(), values.size());
        EXPECT_FALSE(convert_scaled(stored, dtype, 0.0F, 1.0F, values)) << at;
      }
}

}  // namespace
}  // namespace ldmpi::data
