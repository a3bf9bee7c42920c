#include "io/weights.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "io/atomic_file.h"
#include "io/json_text.h"
#include "io/ldm_names.h"

namespace ldmpi::io {

namespace fs = std::filesystem;

namespace {

// In order of preference; the last two are the spellings that versions of diffusers gave to a sharded fp16 variant.
constexpr std::array<std::string_view, 5> kWeightFiles = {
    "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors.index.fp16.json",
    "diffusion_pytorch_model.fp16.safetensors.index.json"};
constexpr std::string_view kPickleHint =
    "holds pickled weights, which can run code when loaded and are not read; save it as safetensors first";

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

std::optional<fs::path> if_file(const fs::path& path) {
  return is_file(path) ? std::optional(path) : std::nullopt;
}

bool is_pickle(const fs::path& path) {
  const auto extension = path.extension();
  return extension == ".bin" || extension == ".ckpt" || extension == ".pt" || extension == ".pth";
}

/// The weights of a folder that holds config.json and one form of the weights; nothing if no weights are there.
std::optional<WeightPlace> in_unet_folder(const fs::path& folder) {
  for (const std::string_view name : kWeightFiles)
    if (is_file(folder / name)) return WeightPlace{folder / name, if_file(folder / "config.json"), std::nullopt, false};
  return std::nullopt;
}

/// A pipeline or checkpoint folder: weights in unet/ or unet_ema/.
std::optional<WeightPlace> in_pipeline_folder(const fs::path& folder, WeightChoice choice) {
  const bool is_average = choice == WeightChoice::Average && in_unet_folder(folder / "unet_ema");
  auto place = in_unet_folder(folder / (is_average ? "unet_ema" : "unet"));
  if (!place) return std::nullopt;
  place->is_average = is_average;
  if (is_file(folder / "model_index.json")) place->pipeline = folder;
  return place;
}

/// The complete checkpoints of a run, the one to take first: that named in `latest`, then from new to old.
std::vector<fs::path> checkpoints_of(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    // The names count with leading zeros, so that order by name is order by step.
    const auto digits = name.starts_with("step-") ? std::string_view(name).substr(5) : std::string_view();
    if (!digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos &&
        is_file(entry.path() / "MANIFEST.json"))
      found.push_back(entry.path());
  }
  std::sort(found.rbegin(), found.rend());
  if (is_file(folder / "latest")) {
    std::string name = read_text_file(folder / "latest", 4096);
    name.erase(name.find_last_not_of(" \r\n\t") + 1);
    std::stable_partition(found.begin(), found.end(), [&](const fs::path& path) { return path.filename() == name; });
  }
  return found;
}

std::optional<WeightPlace> in_run_folder(const fs::path& folder, WeightChoice choice) {
  std::vector<fs::path> folders = checkpoints_of(folder / "checkpoints");
  folders.insert(choice == WeightChoice::Offered ? folders.begin() : folders.end(), folder / "final");
  for (const fs::path& candidate : folders)
    if (auto place = in_pipeline_folder(candidate, choice)) return place;
  return std::nullopt;
}

[[noreturn]] void fail_nothing_found(const fs::path& folder) {
  for (const fs::path& candidate : {folder, folder / "unet"})
    require(!is_file(candidate / "diffusion_pytorch_model.bin"), Exit::BadData, "{} {}",
            (candidate / "diffusion_pytorch_model.bin").string(), kPickleHint);
  fail(
      Exit::MissingInput,
      "no U-Net weights in {}: looked there, in unet/, in final/unet/ and in the complete checkpoints/step-*/unet/ for "
      "{}. Give a safetensors file, a unet folder, a pipeline folder, a run folder or a checkpoint.",
      folder.string(), fmt::join(kWeightFiles, ", "));
}

}  // namespace

WeightPlace find_weights(const fs::path& place, WeightChoice choice) {
  std::error_code error;
  const fs::file_status status = fs::status(place, error);
  if (status.type() == fs::file_type::none) fail_errno("examine", place, error.value());
  require(
      fs::exists(status), Exit::MissingInput,
      "{} does not exist: a safetensors file, a unet folder, a pipeline folder, a run folder or a checkpoint is needed",
      place.string());
  if (!fs::is_directory(status)) {
    require(!is_pickle(place), Exit::BadData, "{} {}", place.string(), kPickleHint);
    return {place, if_file(place.parent_path() / "config.json"), std::nullopt, false};
  }
  // An unreadable folder must not look like an empty one.
  const fs::directory_iterator readable(place, error);
  if (error) fail_errno("read the folder", place, error.value());
  if (auto found = in_pipeline_folder(place, choice)) return *found;
  if (auto found = in_unet_folder(place)) return *found;
  if (auto found = in_run_folder(place, choice)) return *found;
  fail_nothing_found(place);
}

WeightSource::WeightSource(const fs::path& place, WeightChoice choice) : place_(find_weights(place, choice)) {
  if (place_.weights.extension() == ".json")
    open_shards();
  else
    open_single();
  require(!tensors_.empty(), Exit::BadData, "{} holds no tensors", place_.weights.string());
}

void WeightSource::add(const TensorInfo& tensor, std::string name, std::size_t file) {
  index_.emplace(name, tensors_.size());
  tensors_.push_back(tensor);
  tensors_.back().name = std::move(name);
  file_of_.push_back(file);
}

void WeightSource::open_single() {
  files_.push_back(std::make_unique<SafetensorsFile>(place_.weights));
  const auto& stored = files_.front()->tensors();
  std::vector<std::string> names;
  for (const TensorInfo& tensor : stored)
    if (tensor.name.starts_with(kLdmPrefix)) names.push_back(tensor.name);
  is_ldm_ = !names.empty();
  if (!is_ldm_) {
    for (const TensorInfo& tensor : stored) add(tensor, tensor.name, 0);
    return;
  }
  const auto layout = ldm_layout_of(names);
  require(layout.has_value(), Exit::BadData,
          "{} has names that begin with {} but its input_blocks and output_blocks are not those of a U-Net",
          place_.weights.string(), kLdmPrefix);
  const LdmNames translation(*layout);
  for (const TensorInfo& tensor : stored) {
    if (!tensor.name.starts_with(kLdmPrefix)) continue;
    auto name = translation.to_diffusers(tensor.name);
    require(name.has_value(), Exit::BadData, "{}: tensor {} has no place in a U-Net of {} levels with {} layers each",
            place_.weights.string(), quoted_text(tensor.name), layout->blocks, layout->layers_per_block);
    add(tensor, std::move(*name), 0);
  }
}

void WeightSource::open_shards() {
  const fs::path& index_path = place_.weights;
  const nlohmann::json root = read_json(index_path);
  const auto map = root.is_object() ? root.find("weight_map") : root.end();
  require(map != root.end() && map->is_object(), Exit::BadData, "{} has no object \"weight_map\"", index_path.string());
  std::map<std::string, std::size_t> shards;
  for (const auto& [name, shard] : map->items()) {
    require(shard.is_string(), Exit::BadData, "{}: \"weight_map\" gives no file name for {}", index_path.string(),
            quoted_text(name));
    const auto& file = shard.get_ref<const std::string&>();
    // A plain name: anything with a separator, "." or ".." could lead out of the folder.
    require(!file.empty() && file != "." && file != ".." && fs::path(file).filename() == fs::path(file), Exit::BadData,
            "{}: shard {} is not a plain file name in the same folder", index_path.string(), quoted_text(file));
    const auto [entry, is_new] = shards.emplace(file, files_.size());
    if (is_new) files_.push_back(std::make_unique<SafetensorsFile>(index_path.parent_path() / file));
    const TensorInfo* tensor = files_[entry->second]->find(name);
    require(tensor != nullptr, Exit::BadData, "{} places tensor {} in {}, which does not hold it", index_path.string(),
            quoted_text(name), quoted_text(file));
    add(*tensor, name, entry->second);
  }
}

const TensorInfo* WeightSource::find(std::string_view name) const noexcept {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

void WeightSource::read_float(std::string_view name, std::span<float> target) const {
  const auto found = index_.find(name);
  require(found != index_.end(), Exit::BadData, "{} holds no tensor \"{}\"", place_.weights.string(), name);
  files_[file_of_[found->second]]->read_float(tensors_[found->second], target);
}

}  // namespace ldmpi::io
