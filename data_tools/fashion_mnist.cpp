// Fashion-MNIST (Zalando SE, MIT licence) from its idx files.

#include <array>

#include "archive.h"
#include "base/check.h"
#include "picture_source.h"

namespace ldmpi::data_tools {
namespace {

constexpr std::array kCaptions{"a photo of a t-shirt",    "a photo of trousers",  "a photo of a pullover",
                               "a photo of a dress",      "a photo of a coat",    "a photo of a sandal",
                               "a photo of a shirt",      "a photo of a sneaker", "a photo of a bag",
                               "a photo of an ankle boot"};
constexpr std::size_t kStored = 28;
constexpr std::size_t kSide = 32;
constexpr std::size_t kMargin = (kSide - kStored) / 2;

std::uint32_t big_endian(const std::vector<std::byte>& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = (value << 8) | static_cast<std::uint32_t>(bytes[at + i]);
  return value;
}

/// The whole file after checking magic number, extents and length; the values begin at 4 + 4 * rank.
std::vector<std::byte> read_idx(const std::filesystem::path& path, std::uint32_t rank) {
  auto bytes = read_compressed(path, std::size_t{1} << 30);
  const std::size_t header = 4 + 4 * rank;
  require(bytes.size() >= header && big_endian(bytes, 0) == 0x800U + rank, Exit::BadData,
          "{} is not an idx file of {} axes", path.string(), rank);
  std::size_t values = 1;
  for (std::size_t i = 0; i < rank; ++i) values *= big_endian(bytes, 4 + 4 * i);
  require(bytes.size() == header + values, Exit::BadData, "{} is truncated", path.string());
  return bytes;
}

class FashionMnist final : public PictureSource {
 public:
  FashionMnist(const std::filesystem::path& folder, const std::string& split) : split_(split) {
    const std::string prefix = split == "test" ? "t10k" : "train";
    require(std::filesystem::exists(folder), Exit::MissingInput,
            "{} does not exist: apt-get install dataset-fashion-mnist", folder.string());
    pictures_ = read_idx(folder / (prefix + "-images-idx3-ubyte.gz"), 3);
    labels_ = read_idx(folder / (prefix + "-labels-idx1-ubyte.gz"), 1);
    count_ = big_endian(labels_, 4);
    require(big_endian(pictures_, 4) == count_ && big_endian(pictures_, 8) == kStored &&
                big_endian(pictures_, 12) == kStored,
            Exit::BadData, "{}: pictures and labels do not fit", folder.string());
  }

  [[nodiscard]] bool next(Picture& picture) override {
    if (at_ == count_) return false;
    const std::size_t index = at_++;
    const auto label = static_cast<std::size_t>(labels_[8 + index]);
    require(label < kCaptions.size(), Exit::BadData, "Fashion-MNIST: label {} of picture {}", label, index);
    picture.key = fmt::format("fashion-mnist/{}/{}", split_, index);
    picture.caption = kCaptions[label];
    picture.stamp.clear();
    picture.load = [this, index] {
      io::Image image{static_cast<int>(kSide), static_cast<int>(kSide), 1, std::vector<std::uint8_t>(kSide * kSide, 0)};
      for (std::size_t y = 0; y < kStored; ++y)
        for (std::size_t x = 0; x < kStored; ++x)
          image.pixels[(y + kMargin) * kSide + x + kMargin] =
              static_cast<std::uint8_t>(pictures_[16 + (index * kStored + y) * kStored + x]);
      return image;
    };
    return true;
  }
  void rewind() override { at_ = 0; }

 private:
  std::string split_;
  std::vector<std::byte> pictures_;
  std::vector<std::byte> labels_;
  std::size_t count_ = 0;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<PictureSource> open_fashion_mnist(const std::filesystem::path& folder, const std::string& split) {
  require(split == "train" || split == "test", Exit::BadConfig, "--split: \"{}\" is not train or test", split);
  return std::make_unique<FashionMnist>(folder, split);
}

}  // namespace ldmpi::data_tools
