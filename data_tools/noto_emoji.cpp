// Emoji of the Noto font (OFL 1.1) with the names of Unicode's emoji-test.txt.

#include <ft2build.h>
#include FT_FREETYPE_H

#include <charconv>

#include "base/check.h"
#include "base/handle.h"
#include "io/atomic_file.h"
#include "picture_source.h"

namespace ldmpi::data_tools {
namespace {

using Library = Handle<FT_Library, &FT_Done_FreeType>;
using Face = Handle<FT_Face, &FT_Done_Face>;

struct Emoji {
  FT_ULong code;
  std::string name;
};

/// Lines "1F600 ; fully-qualified # <emoji> E1.0 grinning face"; sequences of several code points are left out.
std::vector<Emoji> read_names(const std::filesystem::path& path) {
  const std::string text = io::read_text_file(path, std::uint64_t{16} << 20);
  std::vector<Emoji> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line(text.data() + at, end - at);
    at = end + 1;
    const std::size_t version = line.find(" E", line.find('#'));
    if (line.starts_with('#') || line.find("; fully-qualified") == std::string_view::npos ||
        version == std::string_view::npos)
      continue;
    std::uint32_t code = 0;
    const auto [rest, error] = std::from_chars(line.data(), line.data() + line.find(';'), code, 16);
    const std::string_view after(rest, static_cast<std::size_t>(line.data() + line.find(';') - rest));
    // A following FE0F only asks for the coloured form.
    if (error != std::errc{} || after.find_first_not_of(" FE0") != std::string_view::npos) continue;
    const std::size_t name = line.find(' ', version + 1);
    if (name != std::string_view::npos) out.push_back({code, std::string(line.substr(name + 1))});
  }
  require(!out.empty(), Exit::BadData, "{} lists no emoji", path.string());
  return out;
}

class NotoEmoji final : public PictureSource {
 public:
  NotoEmoji(const std::filesystem::path& font, const std::filesystem::path& names) : emoji_(read_names(names)) {
    require(std::filesystem::exists(font), Exit::MissingInput,
            "{} does not exist: apt-get install fonts-noto-color-emoji", font.string());
    FT_Library library = nullptr;
    require(FT_Init_FreeType(&library) == 0, Exit::NoDevice, "FreeType does not start");
    library_ = Library(library);
    FT_Face face = nullptr;
    require(FT_New_Face(library, font.c_str(), 0, &face) == 0, Exit::BadData, "{} is not a font", font.string());
    face_ = Face(face);
    require(face->num_fixed_sizes > 0 && FT_Select_Size(face, 0) == 0, Exit::BadData,
            "{} holds no coloured bitmaps (CBDT)", font.string());
  }

  [[nodiscard]] bool next(Picture& picture) override {
    while (at_ < emoji_.size() && FT_Get_Char_Index(face_.get(), emoji_[at_].code) == 0) ++at_;
    if (at_ == emoji_.size()) return false;
    const Emoji& emoji = emoji_[at_++];
    picture.key = fmt::format("U+{:04X}", emoji.code);
    picture.caption = emoji.name;
    picture.stamp.clear();
    picture.load = [this, code = emoji.code] { return draw(code); };
    return true;
  }
  void rewind() override { at_ = 0; }

 private:
  /// The glyph's bitmap in the middle of a white square.
  [[nodiscard]] io::Image draw(FT_ULong code) const {
    FT_Face face = face_.get();
    require(FT_Load_Char(face, code, FT_LOAD_COLOR) == 0 && face->glyph->bitmap.pixel_mode == FT_PIXEL_MODE_BGRA,
            Exit::BadData, "U+{:04X} has no coloured bitmap", code);
    const FT_Bitmap& bitmap = face->glyph->bitmap;
    const std::size_t side = std::max(bitmap.width, bitmap.rows);
    io::Image image{static_cast<int>(side), static_cast<int>(side), 3, std::vector<std::uint8_t>(side * side * 3, 255)};
    const std::size_t left = (side - bitmap.width) / 2;
    const std::size_t top = (side - bitmap.rows) / 2;
    for (std::size_t y = 0; y < bitmap.rows; ++y)
      for (std::size_t x = 0; x < bitmap.width; ++x) {
        const unsigned char* from = bitmap.buffer + y * static_cast<std::size_t>(bitmap.pitch) + x * 4;
        std::uint8_t* to = image.pixels.data() + ((y + top) * side + x + left) * 3;
        // BGRA with colours already multiplied by alpha.
        for (std::size_t c = 0; c < 3; ++c)
          to[c] = static_cast<std::uint8_t>(std::min(255, from[2 - c] + 255 - from[3]));
      }
    return image;
  }

  std::vector<Emoji> emoji_;
  Library library_;
  Face face_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<PictureSource> open_emoji(const std::filesystem::path& font, const std::filesystem::path& names) {
  require(std::filesystem::exists(names), Exit::MissingInput, "{} does not exist: apt-get install unicode-data",
          names.string());
  return std::make_unique<NotoEmoji>(font, names);
}

}  // namespace ldmpi::data_tools
