// Pictures as files in folders.

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "io/atomic_file.h"
#include "io/json_text.h"
#include "picture_source.h"

namespace ldmpi::data_tools {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kLargestPicture = std::uint64_t{256} << 20;
constexpr std::uint64_t kLargestCaption = std::uint64_t{1} << 20;
constexpr std::uint64_t kLargestList = std::uint64_t{1} << 32;

std::string trimmed(std::string text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!text.empty() && is_space(text.back())) text.pop_back();
  text.erase(text.begin(), std::ranges::find_if_not(text, is_space));
  return text;
}

std::string extension_of(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension;
}

bool is_picture(const fs::path& path) {
  const std::string extension = extension_of(path);
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png" || extension == ".webp";
}

/// file_name -> text, relative to the folder of the list, as the datasets library writes it.
void read_metadata(const fs::path& list, std::map<fs::path, std::string>& captions) {
  const std::string text = io::read_text_file(list, kLargestList);
  int number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = trimmed(text.substr(at, end - at));
    at = end + 1;
    ++number;
    if (line.empty()) continue;
    const std::string where = fmt::format("{}:{}", list.string(), number);
    const auto entry = io::parse_json(line, where);
    require(entry.is_object() && entry.contains("file_name") && entry["file_name"].is_string(), Exit::BadData,
            "{}: \"file_name\" is missing", where);
    for (const char* key : {"text", "caption"})
      if (entry.contains(key) && entry[key].is_string()) {
        captions[(list.parent_path() / entry["file_name"].get<std::string>()).lexically_normal()] = entry[key];
        break;
      }
  }
}

class FolderSource final : public PictureSource {
 public:
  FolderSource(fs::path folder, std::vector<fs::path> files, std::map<fs::path, std::string> captions)
      : folder_(std::move(folder)), files_(std::move(files)), captions_(std::move(captions)) {}

  [[nodiscard]] bool next(Picture& picture) override {
    if (at_ == files_.size()) return false;
    const fs::path& file = files_[at_++];
    picture.key = file.lexically_relative(folder_).string();
    picture.caption = caption_of(file);
    std::error_code error;
    picture.stamp =
        fmt::format("{} {}", fs::file_size(file, error), fs::last_write_time(file, error).time_since_epoch().count());
    picture.load = [file] { return io::decode_image(io::read_file(file, kLargestPicture)); };
    return true;
  }
  void rewind() override { at_ = 0; }

 private:
  [[nodiscard]] std::string caption_of(const fs::path& file) const {
    if (const auto listed = captions_.find(file.lexically_normal()); listed != captions_.end()) return listed->second;
    fs::path text = file;
    text.replace_extension(".txt");
    return fs::exists(text) ? trimmed(io::read_text_file(text, kLargestCaption)) : "";
  }

  fs::path folder_;
  std::vector<fs::path> files_;
  std::map<fs::path, std::string> captions_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<PictureSource> open_pictures(const fs::path& input) {
  std::error_code error;
  const auto status = fs::status(input, error);
  require(fs::exists(status), Exit::MissingInput, "{} does not exist", input.string());
  if (!fs::is_directory(status)) {
    require(extension_of(input) == ".tar", Exit::BadData, "{} is neither a folder nor a .tar file", input.string());
    return open_tars({input});
  }
  std::vector<fs::path> pictures;
  std::vector<fs::path> tars;
  std::map<fs::path, std::string> captions;
  for (fs::recursive_directory_iterator at(input), end; at != end; ++at) {
    if (!at->is_regular_file()) continue;
    if (is_picture(at->path())) pictures.push_back(at->path());
    if (extension_of(at->path()) == ".tar") tars.push_back(at->path());
    if (at->path().filename() == "metadata.jsonl") read_metadata(at->path(), captions);
  }
  require(pictures.empty() || tars.empty(), Exit::BadData, "{} holds both pictures and tar files: which are meant?",
          input.string());
  require(!pictures.empty() || !tars.empty(), Exit::BadData, "{} holds no .jpg, .jpeg, .png, .webp or .tar files",
          input.string());
  std::ranges::sort(tars);
  if (!tars.empty()) return open_tars(std::move(tars));
  std::ranges::sort(pictures);
  return std::make_unique<FolderSource>(input, std::move(pictures), std::move(captions));
}

}  // namespace ldmpi::data_tools
