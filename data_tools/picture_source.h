#pragma once
// Where pictures come from: a stream of (key, caption, picture) in an order that never changes.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "io/image.h"

namespace ldmpi::data_tools {

struct Picture {
  std::string key;                  ///< unique within the source: file name, archive and member, index
  std::string caption;              ///< may be empty
  std::string stamp;                ///< changes when the picture does (size and time of the file)
  std::function<io::Image()> load;  ///< decodes; throws Error(BadData) for a bad picture. Valid until the next next()
};

class PictureSource {
 public:
  virtual ~PictureSource() = default;
  /// False at the end. Errors: as opening and reading files.
  [[nodiscard]] virtual bool next(Picture& picture) = 0;
  /// Starts again from the front.
  virtual void rewind() = 0;
};

/// A folder (searched recursively) with x.jpg|jpeg|png|webp and captions in x.txt or metadata.jsonl, or one tar file,
/// or a folder of tar files (webdataset: files of one sample have one name up to the first dot; the caption is .txt or
/// the field "caption" or "text" of .json). Errors: MissingInput, BadData for neither.
[[nodiscard]] std::unique_ptr<PictureSource> open_pictures(const std::filesystem::path& input);
[[nodiscard]] std::unique_ptr<PictureSource> open_tars(std::vector<std::filesystem::path> tars);

/// Grey 28x28 pictures on 32x32 with captions such as "a photo of an ankle boot". `folder` holds the idx files,
/// `split` is train or test.
[[nodiscard]] std::unique_ptr<PictureSource> open_fashion_mnist(const std::filesystem::path& folder,
                                                                const std::string& split);

/// Emoji of one code point, RGB over white, with their Unicode names, from a font with CBDT bitmaps.
[[nodiscard]] std::unique_ptr<PictureSource> open_emoji(const std::filesystem::path& font,
                                                        const std::filesystem::path& names);

}  // namespace ldmpi::data_tools
