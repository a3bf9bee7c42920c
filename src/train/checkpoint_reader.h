#pragma once
// Opens checkpoints, and believes none before it is checked.

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "io/safetensors.h"
#include "train/manifest.h"
#include "train/train_state.h"

namespace ldmpi::train {

enum class Verify {
  Sizes,      ///< every file of the manifest is there and has its size
  Checksums,  ///< and its CRC32C (reads every byte)
};

/// One verified checkpoint. Const members may run on several threads.
class CheckpointReader {
 public:
  /// Errors: MissingInput (no such folder, or a format that this program does not know); BadData with the file and the
  /// reason for one that is damaged or incomplete; NoPermission, IoError.
  explicit CheckpointReader(std::filesystem::path folder, Verify verify = Verify::Checksums);

  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }
  [[nodiscard]] const TrainState& state() const noexcept { return state_; }
  [[nodiscard]] const Manifest& manifest() const noexcept { return manifest_; }

  /// Whether the checkpoint has this file (e.g. kEmaFile).
  [[nodiscard]] bool has(std::string_view file) const;
  /// An opened tensor file, relative path as in the manifest. Errors: BadData if the checkpoint has no such file.
  [[nodiscard]] const io::SafetensorsFile& tensors(std::string_view file) const;
  /// Values of a tensor as float. A missing tensor or another shape is Error(BadData).
  void read_float(std::string_view file, std::string_view tensor, const Shape& shape, std::span<float> out) const;
  /// Content of a small text file. Errors: BadData if the checkpoint has no such file.
  [[nodiscard]] std::string text(std::string_view file) const;

 private:
  std::filesystem::path folder_;
  Manifest manifest_;
  TrainState state_;
  std::map<std::string, std::unique_ptr<io::SafetensorsFile>, std::less<>> files_;
};

/// The newest valid checkpoint in RUN/checkpoints; nothing if there never was one. Each damaged one is reported,
/// renamed to `step-....corrupt` and the next older tried. Error(MissingInput) if all are damaged, now or at an earlier
/// start, or if the newest has a format that this program does not know: a run never begins anew silently. Only the
/// owner of the run's lock may call it.
[[nodiscard]] std::unique_ptr<CheckpointReader> open_newest_checkpoint(const std::filesystem::path& checkpoints,
                                                                       Verify verify = Verify::Checksums);

}  // namespace ldmpi::train
