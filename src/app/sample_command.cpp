// ldmpi sample: pictures from prompts.

#include <algorithm>
#include <iostream>
#include <limits>

#include "app/commands.h"
#include "app/make_backend.h"
#include "base/log.h"
#include "base/rng.h"
#include "comm/communicator.h"
#include "config/resolve.h"
#include "data/codec.h"
#include "data/text_encoder.h"
#include "diffusion/sampler.h"
#include "io/atomic_file.h"
#include "io/image_grid.h"
#include "train/job.h"
#include "train/tensor_stream.h"

namespace ldmpi::app {
namespace {

constexpr int kGridColumns = 10;

// The sampling facts stand beside the unet folder in checkpoints and final models.
train::SamplingFacts find_facts(const config::SampleConfig& config, const train::RunModel& model) {
  train::SamplingFacts facts;
  const auto file = model.weights->place().weights.parent_path().parent_path() / train::kSamplingFactsFile;
  if (std::filesystem::exists(file))
    facts = train::parse_sampling_facts(io::read_text_file(file, 1 << 20), file.string());
  if (!config.text_encoder.empty()) facts.text_encoder = config.text_encoder;
  if (!config.latent.empty()) facts.latent = Shape(std::span(config.latent));
  if (facts.latent.rank() == 0) facts.latent = {model.unet.in_channels, model.unet.sample_size, model.unet.sample_size};
  require(facts.latent.rank() == 3 && facts.latent[0] == model.unet.in_channels && facts.latent.count() > 0,
          Exit::BadConfig, "--latent must be {}xHxW for this model", model.unet.in_channels);
  require(!facts.text_encoder.empty(), Exit::BadConfig,
          "{} does not say how its prompts were encoded: give --text_encoder, e.g. words:v1:8x64:seed=1",
          config.model_path);
  require(!model.unet.text_time, Exit::BadConfig,
          "models with pooled text (SDXL) need a text encoder that this version does not have");
  return facts;
}

// Null where latents cannot be turned into pictures here: they are written as they are.
std::unique_ptr<data::Codec> find_codec(const std::string& id) try {
  if (!id.empty()) return data::Codec::from_id(id);
  log::warning("the model does not say how pictures are made of its latents: only latents are written");
  return nullptr;
} catch (const Error& e) {
  log::warning("{}: only latents are written", e.what());
  return nullptr;
}

// One network with its weights, asked twice per step: with the prompts and with the negative prompt.
class Predictor {
 public:
  Predictor(const config::SampleConfig& config, const train::RunModel& model, const train::SamplingFacts& facts,
            Backend& backend)
      : model_(model),
        table_(model.unet),
        communicator_(comm::make_communicator({})),
        compute_(train::compute_type(config::resolve_precision(config.precision, backend.kind))),
        parameters_(table_, *backend.lowering, std::numeric_limits<std::int64_t>::max(), compute_, 1),
        programs_(*backend.lowering, parameters_.storage()) {
    train::StepSpec spec;
    spec.unet = &model.unet;
    spec.table = &table_;
    spec.storage = &parameters_.storage();
    spec.compute = compute_;
    const auto& l = facts.latent;
    program_ = programs_.add(
        "predict", train::build_prediction(
                       spec, {{config.batch_size, l[0], l[1], l[2]}, facts.context[0], facts.context[1], false}));
    programs_.compile();
    programs_.bind(*backend.device, *communicator_);
    const train::StateAccess access{spec, parameters_, programs_, *backend.device, *communicator_};
    parameters_.check(*model.weights);
    train::write_tensors(
        access, {ir::Arena::Weights}, train::Origin::EveryRank,
        [&](const auto& entry, std::span<float> values) { model.weights->read_float(entry.name, values); });
  }

  void predict(std::int64_t timestep, std::span<const float> latents, std::span<const float> context,
               std::span<float> out) {
    const auto samples = programs_.input_type(program_, std::string(train::label::kTimesteps)).count();
    const std::vector<float> timesteps(static_cast<std::size_t>(samples), static_cast<float>(timestep));
    put(train::label::kTimesteps, timesteps);
    put(train::label::kSample, latents);
    put(train::label::kContext, context);
    (void)programs_.run(program_);
    programs_.read_output(program_, std::string(train::label::kPrediction), out.data(), out.size_bytes());
  }

 private:
  void put(std::string_view name, std::span<const float> values) {
    programs_.write_input(program_, std::string(name), values.data(), values.size_bytes());
  }

  const train::RunModel& model_;
  nn::ParameterTable table_;
  std::unique_ptr<comm::Communicator> communicator_;
  DType compute_;
  train::ParameterIo parameters_;
  exec::ProgramSet programs_;
  int program_ = 0;
};

void fill_row(std::vector<float>& rows, std::size_t row, const std::vector<float>& values) {
  std::copy(values.begin(), values.end(), rows.begin() + static_cast<std::ptrdiff_t>(row * values.size()));
}

}  // namespace

int run(const config::SampleConfig& config, Invocation& invocation) {
  auto backend = make_backend({.device = config.device, .tf32 = config.precision == config::Precision::Tf32}, invocation.environment);
  const auto model =
      train::open_model(config.model_path, config.model_config,
                        config.use == config::Weights::Ema ? io::WeightChoice::Average : io::WeightChoice::Trained);
  auto facts = find_facts(config, model);
  const auto encoder = data::TextEncoder::from_id(facts.text_encoder);
  facts.context = encoder->context();
  require(facts.context[1] == model.unet.cross_attention_dim, Exit::BadConfig,
          "the text encoder {} makes vectors {} wide, but the model takes {} (cross_attention_dim): give the "
          "--text_encoder that the model was trained with",
          facts.text_encoder, facts.context[1], model.unet.cross_attention_dim);
  const auto codec = find_codec(facts.codec);
  std::error_code error;
  std::filesystem::create_directories(config.out, error);
  if (error) io::fail_create("create the folder", config.out, error.value());

  std::vector<std::string> prompts;
  for (const auto& prompt : config.prompt)
    for (std::int64_t i = 0; i < config.images_per_prompt; ++i) prompts.push_back(prompt);
  const auto images = prompts.size();
  Predictor predictor(config, model, facts, backend);
  const auto negative = encoder->encode(config.negative_prompt);
  const auto batch = static_cast<std::size_t>(config.batch_size);
  const auto elements = static_cast<std::size_t>(facts.latent.count());
  const auto kind =
      config.sampler == config::Sampler::Ddim ? diffusion::SamplerKind::Ddim : diffusion::SamplerKind::DpmSolverPp;
  std::vector<float> context(batch * negative.size());
  std::vector<float> unconditional(batch * negative.size());
  for (std::size_t row = 0; row < batch; ++row) fill_row(unconditional, row, negative);
  std::vector<float> conditional(batch * elements);
  std::vector<float> latents(batch * elements);
  std::vector<io::Image> pictures;
  std::vector<float> all_latents;

  for (std::size_t first = 0; first < images; first += batch) {
    for (std::size_t row = 0; row < batch; ++row) {
      const auto image = std::min(first + row, images - 1);  // the last batch is filled up with the last picture
      fill_row(context, row, encoder->encode(prompts[image]));
      const Draw draw{config.seed, Purpose::Sampler, image};
      for (std::size_t i = 0; i < elements; ++i) latents[row * elements + i] = draw.normal(i);
    }
    const auto sampler = diffusion::make_sampler(kind, model.schedule, config.steps);
    diffusion::run_sampler(*sampler, latents,
                           [&](std::int64_t timestep, std::span<const float> x, std::span<float> prediction) {
                             if (config.guidance == 1.0) {
                               predictor.predict(timestep, x, context, prediction);
                               return;
                             }
                             predictor.predict(timestep, x, unconditional, prediction);
                             predictor.predict(timestep, x, context, conditional);
                             diffusion::guide(prediction, conditional, config.guidance);
                           });
    for (std::size_t row = 0; row < batch && first + row < images; ++row) {
      const auto one = std::span<const float>(latents).subspan(row * elements, elements);
      require(std::all_of(one.begin(), one.end(), [](float v) { return v - v == 0; }), Exit::Numerical,
              "picture {} is not finite: the weights or the guidance do not fit this model", first + row);
      all_latents.insert(all_latents.end(), one.begin(), one.end());
      if (!codec) continue;
      pictures.push_back(data::decode_scaled(*codec, one, facts.latent, facts.scaling_factor, facts.shift));
      io::write_png(std::filesystem::path(config.out) / fmt::format("image-{:05}.png", first + row), pictures.back());
    }
    log::info("{} of {} pictures", std::min(first + batch, images), images);
  }
  const std::filesystem::path out(config.out);
  const std::vector<io::TensorSpec> specs{
      {"latents", DType::F32, {static_cast<std::int64_t>(images), facts.latent[0], facts.latent[1], facts.latent[2]}}};
  io::SafetensorsWriter writer(out / "latents.safetensors", specs);
  (void)writer.write(std::size_t{0}, all_latents);
  writer.finish();
  std::string list;
  for (std::size_t i = 0; i < images; ++i) list += fmt::format("image-{:05}.png\t{}\n", i, prompts[i]);
  io::write_file_atomically(out / "prompts.tsv", list);
  if (!pictures.empty()) io::write_png(out / "grid.png", io::make_grid(pictures, kGridColumns));
  std::cout << (pictures.empty() ? out / "latents.safetensors" : out / "grid.png").string() << std::endl;
  return 0;
}

}  // namespace ldmpi::app
