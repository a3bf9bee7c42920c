#include "data/codec.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "base/check.h"

namespace ldmpi::data {
namespace {

class PixelsCodec final : public Codec {
 public:
  PixelsCodec(int channels, int factor) : channels_(channels), factor_(factor) {}

  [[nodiscard]] std::string id() const override {
    return fmt::format("pixels:v1:channels={}:unshuffle={}", channels_, factor_);
  }
  [[nodiscard]] int picture_channels() const override { return channels_; }

  [[nodiscard]] Shape latent_shape(int width, int height) const override {
    require(width > 0 && height > 0 && width % factor_ == 0 && height % factor_ == 0, Exit::BadConfig,
            "a picture of {}x{} cannot be unshuffled by {}: choose a resolution divisible by it", width, height,
            factor_);
    return Shape{channels_ * factor_ * factor_, height / factor_, width / factor_};
  }

  [[nodiscard]] std::vector<float> encode(const io::Image& picture) const override {
    LDMPI_CHECK(picture.channels == channels_, "{} channels, expected {}", picture.channels, channels_);
    const Shape shape = latent_shape(picture.width, picture.height);
    std::vector<float> latents(static_cast<std::size_t>(shape.count()));
    for_each(shape, [&](std::size_t latent, std::size_t pixel) {
      latents[latent] = static_cast<float>(picture.pixels[pixel]) / 127.5F - 1.0F;
    });
    return latents;
  }

  [[nodiscard]] io::Image decode(std::span<const float> latents, const Shape& shape) const override {
    require(shape.rank() == 3 && shape[0] == channels_ * factor_ * factor_, Exit::BadConfig,
            "latents {} are not of the codec {}", shape.text(), id());
    LDMPI_CHECK(latents.size() == static_cast<std::size_t>(shape.count()), "{} values", latents.size());
    io::Image picture;
    picture.width = static_cast<int>(shape[2]) * factor_;
    picture.height = static_cast<int>(shape[1]) * factor_;
    picture.channels = channels_;
    picture.pixels.resize(latents.size());
    for_each(shape, [&](std::size_t latent, std::size_t pixel) {
      const float value = std::clamp((latents[latent] + 1.0F) * 127.5F, 0.0F, 255.0F);  // NaN falls to the lower bound
      picture.pixels[pixel] = static_cast<std::uint8_t>(std::isnan(value) ? 0.0F : std::nearbyint(value));
    });
    return picture;
  }

 private:
  /// Calls visit(index of the latent value, index of the pixel value) for every pair.
  template <typename Visit>
  void for_each(const Shape& shape, Visit visit) const {
    const auto factor = static_cast<std::size_t>(factor_);
    const auto channels = static_cast<std::size_t>(channels_);
    const auto height = static_cast<std::size_t>(shape[1]);
    const auto width = static_cast<std::size_t>(shape[2]);
    std::size_t latent = 0;
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t dy = 0; dy < factor; ++dy)
        for (std::size_t dx = 0; dx < factor; ++dx)
          for (std::size_t y = 0; y < height; ++y)
            for (std::size_t x = 0; x < width; ++x)
              visit(latent++, ((y * factor + dy) * width * factor + x * factor + dx) * channels + c);
  }

  int channels_;
  int factor_;
};

/// The values of "name:v1:a=1:b=2" by key; nothing for anything else.
std::map<std::string, int> parameters(std::string_view text) {
  std::map<std::string, int> out;
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(':'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const auto equals = part.find('=');
    int value = 0;
    if (equals == std::string_view::npos) return {};
    const auto [end, error] = std::from_chars(part.data() + equals + 1, part.data() + part.size(), value);
    if (error != std::errc{} || end != part.data() + part.size()) return {};
    out.emplace(part.substr(0, equals), value);
  }
  return out;
}

}  // namespace

std::unique_ptr<Codec> pixels_codec(int channels, int unshuffle) {
  require((channels == 1 || channels == 3) && unshuffle >= 1 && unshuffle <= 16, Exit::BadConfig,
          "the codec pixels has 1 or 3 channels and unshuffles by 1 to 16, not {} and {}", channels, unshuffle);
  return std::make_unique<PixelsCodec>(channels, unshuffle);
}

std::unique_ptr<Codec> Codec::from_id(std::string_view id) {
  constexpr std::string_view kPixels = "pixels:v1:";
  if (id.starts_with(kPixels)) {
    const auto values = parameters(id.substr(kPixels.size()));
    if (values.size() == 2 && values.contains("channels") && values.contains("unshuffle"))
      return pixels_codec(values.at("channels"), values.at("unshuffle"));
  }
  fail(Exit::BadConfig,
       "the codec \"{}\" is not known to this program (known: pixels:v1:channels=1|3:unshuffle=N). Its latents can be "
       "trained on and sampled, but not turned into pictures here",
       id);
}

io::Image decode_scaled(const Codec& codec, std::span<const float> latents, const Shape& shape, double scaling_factor,
                        double shift) {
  std::vector<float> raw(latents.begin(), latents.end());
  for (float& value : raw) value = static_cast<float>(static_cast<double>(value) / scaling_factor + shift);
  return codec.decode(raw, shape);
}

}  // namespace ldmpi::data
