// ldmpi probe: output, loss and every gradient of a U-Net for given inputs, for anybody to compare.

#include <fmt/ranges.h>

#include <limits>

#include "app/commands.h"
#include "app/make_backend.h"
#include "base/log.h"
#include "comm/communicator.h"
#include "config/resolve.h"
#include "train/job.h"
#include "train/tensor_stream.h"

namespace ldmpi::app {
namespace {

// All that this model's probe reads must be there.
void check_names(const io::SafetensorsFile& file, const nn::UnetConfig& unet) {
  std::vector<std::string_view> names{"sample", "timesteps", "encoder_hidden_states", "target"};
  if (unet.text_time) names.insert(names.end(), {"text_embeds", "time_ids"});
  auto missing = names;
  std::erase_if(missing, [&](std::string_view name) { return file.find(name) != nullptr; });
  require(missing.empty(), Exit::BadData, "{} lacks {}; the probe of this model reads the tensors {}",
          file.path().string(), fmt::join(missing, ", "), fmt::join(names, ", "));
}

std::vector<float> read(const io::SafetensorsFile& file, std::string_view name, const Shape& shape) {
  const auto& tensor = file.at(name);
  require(tensor.shape == shape, Exit::BadData, "{}: {} has shape {}, expected {}", file.path().string(), name,
          tensor.shape.text(), shape.text());
  std::vector<float> values(static_cast<std::size_t>(shape.count()));
  file.read_float(tensor, values);
  return values;
}

std::vector<float> read_timesteps(const io::SafetensorsFile& file, std::int64_t count) {
  const auto& tensor = file.at("timesteps");
  require(tensor.shape == Shape{count} && tensor.dtype == DType::I64, Exit::BadData,
          "{}: timesteps must be i64 [{}], not {} {}", file.path().string(), count, name_of(tensor.dtype),
          tensor.shape.text());
  std::vector<std::int64_t> integers(static_cast<std::size_t>(count));
  file.read(tensor, std::as_writable_bytes(std::span(integers)));
  return {integers.begin(), integers.end()};
}

// One result of the probe: its name and shape, and its values.
struct Result {
  io::TensorSpec spec;
  std::vector<float> values;
};

}  // namespace

int run(const config::ProbeConfig& config, Invocation& invocation) {
  auto backend = make_backend({.device = config.device, .tf32 = config.precision == config::Precision::Tf32}, invocation.environment);
  const auto precision = config::resolve_precision(config.precision, backend.kind);
  const auto model = train::open_model(config.model_path, config.model_config);
  const io::SafetensorsFile input(config.input);
  check_names(input, model.unet);
  const auto& sample = input.at("sample").shape;
  const auto& context = input.at("encoder_hidden_states").shape;
  require(sample.rank() == 4 && sample[1] == model.unet.in_channels, Exit::BadData,
          "{}: sample must be [N,{},H,W], not {}", config.input, model.unet.in_channels, sample.text());
  require(context.rank() == 3 && context[0] == sample[0] && context[2] == model.unet.cross_attention_dim, Exit::BadData,
          "{}: encoder_hidden_states must be [{},T,{}], not {}", config.input, sample[0],
          model.unet.cross_attention_dim, context.text());

  const nn::ParameterTable table(model.unet);
  train::StepSpec spec;
  spec.unet = &model.unet;
  spec.table = &table;
  spec.compute = train::compute_type(precision);
  const train::ParameterIo parameters(table, *backend.lowering, std::numeric_limits<std::int64_t>::max(), spec.compute,
                                      1);
  spec.storage = &parameters.storage();
  exec::ProgramSet programs(*backend.lowering, parameters.storage());
  const train::BatchSpec batch{sample, context[1], context[2], false};
  const int program = programs.add("probe", train::build_probe(spec, batch));
  programs.compile();
  const auto alone = comm::make_communicator({});
  programs.bind(*backend.device, *alone);

  const train::StateAccess access{spec, parameters, programs, *backend.device, *alone};
  parameters.check(*model.weights);
  train::write_tensors(
      access, {ir::Arena::Weights}, train::Origin::EveryRank,
      [&](const auto& entry, std::span<float> values) { model.weights->read_float(entry.name, values); });
  std::vector<double> state(ir::kStateSlots, 0.0);
  state[static_cast<std::size_t>(ir::StateSlot::LossScale)] = 1;
  backend.device->upload(programs.arena(ir::Arena::State), state.data(), state.size() * sizeof(double));
  auto put = [&](std::string_view name, const std::vector<float>& values) {
    programs.write_input(program, std::string(name), values.data(), values.size() * sizeof(float));
  };
  const Shape output{sample[0], model.unet.out_channels, sample[2], sample[3]};
  put(train::label::kSample, read(input, "sample", sample));
  put(train::label::kTimesteps, read_timesteps(input, sample[0]));
  put(train::label::kContext, read(input, "encoder_hidden_states", context));
  put(train::label::kTarget, read(input, "target", output));
  const Shape pooled{sample[0], model.unet.pooled_dim()};
  if (model.unet.text_time) {
    put(train::label::kPooled, read(input, "text_embeds", pooled));
    put(train::label::kTimeIds, read(input, "time_ids", {sample[0], 6}));
  }
  (void)programs.run(program);

  std::vector<Result> results;
  auto take = [&](std::string name, std::string_view output_label, const Shape& shape) {
    Result result{{std::move(name), DType::F32, shape}, std::vector<float>(static_cast<std::size_t>(shape.count()))};
    programs.read_output(program, std::string(output_label), result.values.data(),
                         result.values.size() * sizeof(float));
    results.push_back(std::move(result));
  };
  take("output", train::label::kPrediction, output);
  take("loss", train::label::kLoss, {1});
  results.back().spec.shape = Shape{};
  take("input_grad.sample", "input_grad.sample", sample);
  take("input_grad.encoder_hidden_states", "input_grad.context", context);
  if (model.unet.text_time) take("input_grad.text_embeds", "input_grad.pooled", pooled);
  std::vector<io::TensorSpec> specs;
  for (const auto& result : results) specs.push_back(result.spec);
  for (const auto& entry : table.entries()) specs.push_back({"grad." + entry.name, DType::F32, entry.shape});
  io::SafetensorsWriter writer(config.output, specs);
  for (std::size_t i = 0; i < results.size(); ++i) (void)writer.write(i, results[i].values);
  std::vector<float> room(static_cast<std::size_t>(parameters.largest_tensor()));
  train::read_tensors(access, ir::Arena::Gradients, false, [&](const auto& entry, const auto& fill) {
    const auto values = std::span(room).first(static_cast<std::size_t>(entry.shape.count()));
    fill(values);
    (void)writer.write(results.size() + static_cast<std::size_t>(table.find(entry.name)), values);
  });
  writer.finish();
  log::info("loss {:.8f}; {} tensors written to {}", static_cast<double>(results[1].values[0]), specs.size(),
            config.output);
  return 0;
}

}  // namespace ldmpi::app
