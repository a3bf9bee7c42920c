// ldmpi convert: weights from one form to another.

#include <algorithm>
#include <iostream>

#include "app/commands.h"
#include "base/log.h"
#include "io/atomic_file.h"
#include "io/ldm_names.h"
#include "nn/parameter_table.h"
#include "train/run_model.h"

namespace ldmpi::app {
namespace {

namespace fs = std::filesystem;

DType file_type(config::FileDType wanted, DType stored) {
  switch (wanted) {
    case config::FileDType::Fp32: return DType::F32;
    case config::FileDType::Fp16: return DType::F16;
    case config::FileDType::Bf16: return DType::BF16;
    case config::FileDType::Keep: return stored;
  }
  return stored;
}

io::LdmNames ldm_names(const nn::UnetConfig& unet) {
  const bool uniform = std::all_of(unet.layers_per_block.begin(), unet.layers_per_block.end(),
                                   [&](auto n) { return n == unet.layers_per_block.front(); });
  require(uniform, Exit::BadConfig, "single-file checkpoints need the same layers_per_block at every level");
  return io::LdmNames(
      {static_cast<int>(unet.levels()), static_cast<int>(unet.layers_per_block.front()), unet.up_attention});
}

// Diffusers form: a unet folder with config.json; single-file form: one safetensors file under LDM names.
void write_weights(const config::ConvertConfig& config, const train::RunModel& model, const fs::path& file, bool ldm) {
  const auto& tensors = model.weights->tensors();
  std::vector<io::TensorSpec> specs;
  const auto names = ldm ? std::optional(ldm_names(model.unet)) : std::nullopt;
  for (const auto& tensor : tensors) {
    auto name = ldm ? names->to_ldm(tensor.name) : std::optional(tensor.name);
    require(name.has_value(), Exit::BadData, "{} has no name in single-file checkpoints", tensor.name);
    specs.push_back({*name, file_type(config.dtype, tensor.dtype), tensor.shape});
  }
  io::SafetensorsWriter writer(file, specs);
  std::vector<float> values;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    values.resize(static_cast<std::size_t>(tensors[i].shape.count()));
    model.weights->read_float(tensors[i].name, values);
    (void)writer.write(i, values);
  }
  writer.finish();
}

// The weights must be those of the network that config.json describes: a conversion never hides a mismatch.
void check_weights(const train::RunModel& model) {
  const nn::ParameterTable table(model.unet);
  for (const auto& entry : table.entries()) {
    const auto* tensor = model.weights->find(entry.name);
    require(tensor != nullptr && tensor->shape.count() == entry.shape.count(), Exit::BadData,
            "{}: {} {} is missing or has another shape", model.weights->place().weights.string(), entry.name,
            entry.shape.text());
  }
  require(table.entries().size() == model.weights->tensors().size(), Exit::BadData,
          "{} holds {} tensors, its config.json describes {}", model.weights->place().weights.string(),
          model.weights->tensors().size(), table.entries().size());
}

}  // namespace

int run(const config::ConvertConfig& config, Invocation&) {
  const auto model = train::open_model(config.input, config.model_config,
                                       config.ema ? io::WeightChoice::Average : io::WeightChoice::Trained);
  require(!config.ema || model.weights->place().is_average, Exit::MissingInput,
          "{} holds no averaged weights (unet_ema): leave --ema out", config.input);
  check_weights(model);
  const fs::path output(config.output);
  const bool ldm = config.format == config::WeightFormat::Ldm;
  if (ldm || output.extension() == ".safetensors") {
    write_weights(config, model, output, ldm);
  } else {
    std::error_code error;
    fs::create_directories(output, error);
    if (error) io::fail_create("create the folder", output, error.value());
    write_weights(config, model, output / "diffusion_pytorch_model.safetensors", false);
    io::write_file_atomically(output / "config.json", nn::to_json(model.unet));
  }
  std::cout << config.output << std::endl;
  return 0;
}

}  // namespace ldmpi::app
