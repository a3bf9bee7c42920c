#pragma once
// Text encoders: prompt to embeddings [T,D]. `words` is a stand-in for small runs without weights: token i is a fixed
// seeded Gaussian vector of word i, the rest zeros, so the empty prompt is all zeros. It knows no grammar and no
// synonyms.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/shape.h"

namespace ldmpi::data {

class TextEncoder {
 public:
  virtual ~TextEncoder() = default;
  /// The identity with all parameters; from_id(id()) is the same encoder.
  [[nodiscard]] virtual std::string id() const = 0;
  [[nodiscard]] virtual Shape context() const = 0;  ///< [T,D]
  /// [T,D] row-major. Words beyond T are cut off.
  [[nodiscard]] virtual std::vector<float> encode(std::string_view prompt) const = 0;

  /// "words:v1:8x64:seed=1". Errors: BadConfig for an unknown encoder or malformed id.
  [[nodiscard]] static std::unique_ptr<TextEncoder> from_id(std::string_view id);
};

/// The encoder `words`; t in 1..4096, d in 1..16384, else BadConfig. Words are runs of letters, digits, hyphens and
/// bytes above 127, without regard to ASCII case ("t-shirt" is one word).
[[nodiscard]] std::unique_ptr<TextEncoder> words_encoder(std::int64_t t, std::int64_t d, std::uint64_t seed);

}  // namespace ldmpi::data
