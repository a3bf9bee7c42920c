#include "train/final_model.h"

#include <nlohmann/json.hpp>
#include <system_error>

#include "base/build_info.h"
#include "base/log.h"
#include "io/atomic_file.h"

namespace ldmpi::train {
namespace {

namespace fs = std::filesystem;

// Parts of a pipeline that training does not change, with their classes for model_index.json.
struct Part {
  const char* folder;
  const char* library;
  const char* type;
};
constexpr Part kParts[] = {{"vae", "diffusers", "AutoencoderKL"},
                           {"text_encoder", "transformers", "CLIPTextModel"},
                           {"text_encoder_2", "transformers", "CLIPTextModelWithProjection"},
                           {"tokenizer", "transformers", "CLIPTokenizer"},
                           {"tokenizer_2", "transformers", "CLIPTokenizer"}};

nlohmann::ordered_json read_index(const std::optional<fs::path>& pipeline) {
  if (pipeline && fs::exists(*pipeline / "model_index.json")) {
    auto index =
        nlohmann::ordered_json::parse(io::read_text_file(*pipeline / "model_index.json", 1 << 20), nullptr, false);
    if (index.is_object()) return index;
  }
  return nlohmann::ordered_json::object();
}

std::string model_index(const RunModel& model, const fs::path& folder) {
  auto index = read_index(model.pipeline);
  index["_class_name"] = model.unet.text_time ? "StableDiffusionXLPipeline" : "StableDiffusionPipeline";
  if (!index.contains("_diffusers_version")) index["_diffusers_version"] = "0.21.4";
  index["unet"] = {"diffusers", "UNet2DConditionModel"};
  index["scheduler"] = {"diffusers", "DDIMScheduler"};
  for (const auto& part : kParts) {
    if (fs::exists(folder / part.folder)) {
      if (!index.contains(part.folder)) index[part.folder] = {part.library, part.type};
    } else {
      index[part.folder] = {nullptr, nullptr};
    }
  }
  return index.dump(2) + "\n";
}

}  // namespace

std::map<std::string, std::string> model_texts(const RunModel& model, const SamplingFacts& facts, bool average) {
  std::map<std::string, std::string> texts{{"unet/config.json", nn::to_json(model.unet)},
                                           {"scheduler/scheduler_config.json", diffusion::to_json(model.schedule)},
                                           {kSamplingFactsFile, to_json(facts)}};
  if (average) texts["unet_ema/config.json"] = nn::to_json(model.unet);
  return texts;
}

void write_final_model(const fs::path& folder, const RunModel& model, const SamplingFacts& facts,
                       const StateAccess& access) {
  const auto arena = access.programs.arena(ir::Arena::Ema) != nullptr ? ir::Arena::Ema : trained_arena(access.programs);
  if (access.communicator.rank() != 0) return read_tensors(access, arena, true, {});
  const auto temporary = folder.parent_path() / ".tmp-final";
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  try {
    fs::create_directories(temporary / "unet");
    for (const auto& [path, text] : model_texts(model, facts, false)) {
      fs::create_directories((temporary / path).parent_path());
      io::write_file_atomically(temporary / path, text);
    }
    std::vector<io::TensorSpec> specs;
    for (const auto& entry : access.parameters.table().entries())
      specs.push_back({entry.name, DType::F32, entry.shape});
    io::SafetensorsWriter writer(temporary / kUnetFile, specs);
    std::vector<float> room(static_cast<std::size_t>(access.parameters.largest_tensor()));
    read_tensors(access, arena, true, [&](const nn::ParameterEntry& entry, const auto& fill) {
      const auto values = std::span(room).first(static_cast<std::size_t>(entry.shape.count()));
      fill(values);
      (void)writer.write(static_cast<std::size_t>(access.parameters.table().find(entry.name)), values);
    });
    writer.finish();
    if (model.pipeline)
      for (const auto& part : kParts)
        if (fs::exists(*model.pipeline / part.folder))
          fs::copy(*model.pipeline / part.folder, temporary / part.folder, fs::copy_options::recursive);
    io::write_file_atomically(temporary / "model_index.json", model_index(model, temporary));
  } catch (const fs::filesystem_error& e) {
    fail(Exit::IoError, "cannot write {}: {}", folder.string(), e.what());
  }
  publish_folder(temporary, folder);
}

}  // namespace ldmpi::train
