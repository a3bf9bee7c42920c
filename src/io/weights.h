#pragma once
// Where U-Net weights come from: one door for every place that holds them.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/safetensors.h"

namespace ldmpi::io {

/// Which of two weight sets to take where a folder has both.
enum class WeightChoice {
  Offered,  ///< what the folder shows to others: `unet`; in a run folder that of `final/`, the average if there is one
  Trained,  ///< `unet`, and in a run folder that of the newest checkpoint
  Average,  ///< `unet_ema`, or `unet` where there is no `unet_ema` (see WeightPlace::is_average)
};

/// What a path given by the user means.
struct WeightPlace {
  std::filesystem::path weights;                ///< the safetensors file, or the index file of a sharded set
  std::optional<std::filesystem::path> config;  ///< the U-Net's config.json beside the weights
  std::optional<std::filesystem::path>
      pipeline;             ///< folder with model_index.json: vae, text_encoder, tokenizer, scheduler
  bool is_average = false;  ///< taken from a `unet_ema` folder
};

/// Resolves: a safetensors file; `*.safetensors.index.json`; a unet folder (config.json and
/// diffusion_pytorch_model[.fp16].safetensors or index); a pipeline or checkpoint folder (`unet/` in it); a run folder
/// (the checkpoint named in `checkpoints/latest`, else the newest complete one, else `final/`; `final/` first if
/// Offered). Errors: MissingInput that lists what was looked for.
[[nodiscard]] WeightPlace find_weights(const std::filesystem::path& place, WeightChoice choice = WeightChoice::Offered);

/// A U-Net's weights under diffusers' names, whatever the form on disk. Const members may run on several threads.
class WeightSource {
 public:
  /// find_weights and open. A file with `model.diffusion_model.` names is a single-file checkpoint: its U-Net tensors
  /// are listed under diffusers' names, all others left out. Errors also: BadData.
  explicit WeightSource(const std::filesystem::path& place, WeightChoice choice = WeightChoice::Offered);

  [[nodiscard]] const WeightPlace& place() const noexcept { return place_; }
  /// True for a single-file (LDM) checkpoint.
  [[nodiscard]] bool is_ldm() const noexcept { return is_ldm_; }
  /// Name (diffusers'), dtype, shape; offsets count within the tensor's own file.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const noexcept { return tensors_; }
  [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept;
  /// Values as float, target.size() == shape.count(). A missing name is Error(BadData).
  void read_float(std::string_view name, std::span<float> target) const;

 private:
  void open_single();
  void open_shards();
  void add(const TensorInfo& tensor, std::string name, std::size_t file);

  WeightPlace place_;
  bool is_ldm_ = false;
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::vector<TensorInfo> tensors_;
  std::vector<std::size_t> file_of_;  // of each tensor, into files_
  std::map<std::string, std::size_t, std::less<>> index_;
};

}  // namespace ldmpi::io
