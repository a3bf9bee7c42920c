// Pictures in tar files, as webdataset and img2dataset write them.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "archive.h"
#include "base/check.h"
#include "io/json_text.h"
#include "picture_source.h"

namespace ldmpi::data_tools {
namespace {

constexpr std::size_t kLargestMember = std::size_t{256} << 20;

class TarSource final : public PictureSource {
 public:
  explicit TarSource(std::vector<std::filesystem::path> tars) : tars_(std::move(tars)) {}

  [[nodiscard]] bool next(Picture& picture) override {
    for (;;) {
      if (!reader_) {
        if (tar_ == tars_.size()) return false;
        reader_.emplace(tars_[tar_]);
        pending_ = reader_->next();
      }
      if (!pending_) {
        reader_.reset();
        ++tar_;
        continue;
      }
      if (read_sample(picture)) return true;
    }
  }

  void rewind() override {
    reader_.reset();
    pending_.reset();
    tar_ = 0;
  }

 private:
  /// Reads all neighbouring members of one key; false if none of them is a picture.
  bool read_sample(Picture& picture) {
    const std::string key = key_of(*pending_);
    std::vector<std::byte> image;
    std::string caption;
    while (pending_ && key_of(*pending_) == key) {
      std::string extension = pending_->substr(std::min(pending_->size(), key.size() + 1));
      std::ranges::transform(extension, extension.begin(),
                             [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      const bool text = extension == "txt" || extension == "caption";
      const bool picture_file = extension == "jpg" || extension == "jpeg" || extension == "png" || extension == "webp";
      if (picture_file)
        image = reader_->content(kLargestMember);
      else if (text || (extension == "json" && caption.empty())) {
        const auto bytes = reader_->content(kLargestMember);
        const std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        caption = text ? std::string(content.substr(0, content.find_last_not_of(" \r\n\t") + 1))
                       : caption_from_json(content, key);
      }
      pending_ = reader_->next();
    }
    if (image.empty()) return false;
    picture.key = tars_[tar_].filename().string() + "/" + key;
    picture.caption = std::move(caption);
    picture.stamp = std::to_string(image.size());
    picture.load = [image = std::move(image)] { return io::decode_image(image); };
    return true;
  }

  /// The member's path up to the first dot of its last part, as webdataset groups files.
  static std::string key_of(const std::string& member) {
    const std::size_t slash = member.rfind('/');
    const std::size_t dot = member.find('.', slash == std::string::npos ? 0 : slash + 1);
    return member.substr(0, dot);
  }

  static std::string caption_from_json(std::string_view text, const std::string& name) {
    const auto json = io::parse_json(text, name + ".json");
    for (const char* key : {"caption", "text"})
      if (json.is_object() && json.contains(key) && json[key].is_string()) return json[key].get<std::string>();
    return "";
  }

  std::vector<std::filesystem::path> tars_;
  std::size_t tar_ = 0;
  std::optional<ArchiveReader> reader_;
  std::optional<std::string> pending_;  // member that next() named last, not yet read
};

}  // namespace

std::unique_ptr<PictureSource> open_tars(std::vector<std::filesystem::path> tars) {
  return std::make_unique<TarSource>(std::move(tars));
}

}  // namespace ldmpi::data_tools
