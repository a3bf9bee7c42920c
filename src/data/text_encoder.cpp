#include "data/text_encoder.h"

#include <cstdio>

#include "base/check.h"
#include "base/rng.h"

namespace ldmpi::data {
namespace {

bool belongs_to_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         static_cast<unsigned char>(c) > 127;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

class WordsEncoder final : public TextEncoder {
 public:
  WordsEncoder(std::int64_t t, std::int64_t d, std::uint64_t seed) : context_{t, d}, seed_(seed) {}

  [[nodiscard]] std::string id() const override {
    return fmt::format("words:v1:{}x{}:seed={}", context_[0], context_[1], seed_);
  }
  [[nodiscard]] Shape context() const override { return context_; }

  [[nodiscard]] std::vector<float> encode(std::string_view prompt) const override {
    std::vector<float> out(static_cast<std::size_t>(context_.count()), 0.0F);
    const auto width = static_cast<std::size_t>(context_[1]);
    std::size_t token = 0;
    std::string word;
    const auto put = [&] {
      if (!word.empty() && token < static_cast<std::size_t>(context_[0])) {
        const Draw draw{seed_, Purpose::Synthetic, name_hash(word.data(), word.size())};
        for (std::size_t i = 0; i < width; ++i) out[token * width + i] = draw.normal(i);
        ++token;
      }
      word.clear();
    };
    for (const char c : prompt) {
      if (belongs_to_word(c))
        word += lower(c);
      else
        put();
    }
    put();
    return out;
  }

 private:
  Shape context_;
  std::uint64_t seed_;
};

}  // namespace

std::unique_ptr<TextEncoder> words_encoder(std::int64_t t, std::int64_t d, std::uint64_t seed) {
  require(t >= 1 && t <= 4096 && d >= 1 && d <= 16384, Exit::BadConfig,
          "the text encoder words has 1 to 4096 tokens of width 1 to 16384, not {}x{}", t, d);
  return std::make_unique<WordsEncoder>(t, d, seed);
}

std::unique_ptr<TextEncoder> TextEncoder::from_id(std::string_view id) {
  const std::string text(id);
  long long t = 0;
  long long d = 0;
  unsigned long long seed = 0;
  int end = 0;
  // Signs and blanks, which scanf takes, are none of the form.
  if (text.find_first_of("+- \t\n") == std::string::npos &&
      std::sscanf(text.c_str(), "words:v1:%6lldx%6lld:seed=%20llu%n", &t, &d, &seed, &end) == 3 &&
      static_cast<std::size_t>(end) == text.size())
    return words_encoder(t, d, seed);
  fail(Exit::BadConfig,
       "the text encoder \"{}\" is not known to this program (known: words:v1:TxD:seed=N). A dataset "
       "made with it can be trained on, but prompts cannot be encoded here",
       id);
}

}  // namespace ldmpi::data
