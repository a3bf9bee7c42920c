#pragma once
// Codecs: pictures to latents and back. `pixels` is the lossless one that needs no weights: pixel-unshuffle by a
// factor. A codec is identified by a string that the dataset carries, so that sampling can invert what packing did.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/shape.h"
#include "io/image.h"

namespace ldmpi::data {

class Codec {
 public:
  virtual ~Codec() = default;
  /// The identity with all parameters; from_id(id()) is the same codec.
  [[nodiscard]] virtual std::string id() const = 0;
  [[nodiscard]] virtual int picture_channels() const = 0;
  /// [C,H,W] of the latent of a picture. Errors: BadConfig if the size is not divisible as the codec needs.
  [[nodiscard]] virtual Shape latent_shape(int width, int height) const = 0;
  /// Raw latents [C,H,W], about -1 .. 1, unscaled.
  [[nodiscard]] virtual std::vector<float> encode(const io::Image& picture) const = 0;
  /// The picture of raw latents [C,H,W]; values outside the range are clamped.
  [[nodiscard]] virtual io::Image decode(std::span<const float> latents, const Shape& shape) const = 0;

  /// "pixels:v1:channels=1:unshuffle=2". Errors: BadConfig for an unknown codec or malformed id.
  [[nodiscard]] static std::unique_ptr<Codec> from_id(std::string_view id);
};

/// The codec `pixels`: value v becomes v/127.5-1; an f x f patch of every picture channel becomes f*f latent channels
/// (channel c*f*f + dy*f + dx). Errors: BadConfig for channels other than 1, 3 or a factor outside 1..16.
[[nodiscard]] std::unique_ptr<Codec> pixels_codec(int channels, int unshuffle);

/// Decodes latents as a model makes them, scaled by (raw - shift) * scaling_factor.
[[nodiscard]] io::Image decode_scaled(const Codec& codec, std::span<const float> latents, const Shape& shape,
                                      double scaling_factor, double shift);

}  // namespace ldmpi::data
