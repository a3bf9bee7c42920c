#pragma once
// What a checkpoint is: named float tensors in diffusers' shapes, scalars and texts; and how one folder is written.
// The form on disk is described in docs/checkpoint_format.md.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"
#include "train/train_state.h"

namespace ldmpi::train {

/// One safetensors file of a checkpoint.
struct TensorFile {
  std::string path;  ///< relative to the checkpoint, e.g. "unet/diffusion_pytorch_model.safetensors"
  std::vector<io::TensorSpec> tensors;
};

/// Where the parts of a checkpoint stand, relative to its folder.
inline constexpr std::string_view kUnetFile = "unet/diffusion_pytorch_model.safetensors";
inline constexpr std::string_view kEmaFile = "unet_ema/diffusion_pytorch_model.safetensors";
inline constexpr std::string_view kOptimizerFile = "state/optimizer.safetensors";  ///< "m.<name>" and "v.<name>"
inline constexpr std::string_view kStateFile = "state/state.json";
inline constexpr std::string_view kManifestFile = "MANIFEST.json";

/// An immutable copy of the training state, made on rank 0 and read by the writer's thread while training goes on.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  /// The tensor files; constant over the life of the snapshot.
  [[nodiscard]] virtual const std::vector<TensorFile>& files() const = 0;
  /// Values of files()[file].tensors[tensor] in its row-major canonical shape; out.size() == shape.count().
  /// Called from the writer's thread. May throw Error: the save fails then, training goes on.
  virtual void read(std::size_t file, std::size_t tensor, std::span<float> out) const = 0;
  [[nodiscard]] virtual const TrainState& state() const = 0;
  /// Relative path -> content of the small files beside the tensors, e.g. "unet/config.json".
  [[nodiscard]] virtual const std::map<std::string, std::string>& texts() const = 0;
};

/// "step-00000010"
[[nodiscard]] std::string step_folder_name(std::int64_t step);
/// The inverse; nothing for any other name (".tmp-...", "step-00000010.corrupt", ...).
[[nodiscard]] std::optional<std::int64_t> step_of_folder_name(std::string_view name);

/// Steps of the folders in RUN/checkpoints that are named as a checkpoint, newest first. An absent folder has none.
[[nodiscard]] std::vector<std::int64_t> list_steps(const std::filesystem::path& checkpoints);

/// Bytes that write_snapshot needs on disk.
[[nodiscard]] std::uint64_t snapshot_bytes(const Snapshot& snapshot);

/// Writes files, texts, state.json and, last, MANIFEST.json into `folder`, which it creates; everything is durable when
/// it returns. Errors: of io (CannotCreate, NoPermission, IoError) and of Snapshot::read; the folder is left as it is
/// then.
void write_snapshot(const Snapshot& snapshot, const std::filesystem::path& folder);

/// Gives a complete folder its final name, durably. A folder that has this name already is replaced: exchanged
/// atomically where the file system can do that, and removed afterwards. Both must lie in the same parent folder.
void publish_folder(const std::filesystem::path& temporary, const std::filesystem::path& target);

/// Throws Error(CannotCreate) unless the file system of `folder` has 1.1 x `bytes` free.
void require_space(const std::filesystem::path& folder, std::uint64_t bytes);

}  // namespace ldmpi::train
