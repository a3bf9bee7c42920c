// ldmpi sample: pictures from prompts.

#include <algorithm>
#include <iostream>
#include <limits>

#include "app/commands.h"
#include "app/make_backend.h"
#include "base/log.h"
#include "comm/communicator.h"
#include "config/resolve.h"
#include "data/text_encoder.h"
#include "io/atomic_file.h"
#include "io/image_grid.h"
#include "train/job.h"
#include "train/sampling.h"
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

// One network with its weights.
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

  [[nodiscard]] std::vector<float> draw(const train::Drawing& drawing, std::span<const std::uint64_t> pictures,
                                        const train::Conditions& with, const train::Conditions& without) {
    return train::draw_latents(drawing, programs_, program_, pictures, with, without);
  }

 private:
  const train::RunModel& model_;
  nn::ParameterTable table_;
  std::unique_ptr<comm::Communicator> communicator_;
  DType compute_;
  train::ParameterIo parameters_;
  exec::ProgramSet programs_;
  int program_ = 0;
};

void append(std::vector<float>& rows, const std::vector<float>& row) {
  rows.insert(rows.end(), row.begin(), row.end());
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
  const auto codec = train::find_codec(facts.codec);
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
  const train::Drawing drawing{.kind = config.sampler == config::Sampler::Ddim ? diffusion::SamplerKind::Ddim
                                                                               : diffusion::SamplerKind::DpmSolverPp,
                               .schedule = model.schedule,
                               .steps = config.steps,
                               .guidance = config.guidance,
                               .seed = config.seed};
  train::Conditions without;
  for (std::size_t row = 0; row < batch; ++row) append(without.context, negative);
  std::vector<io::Image> pictures;
  std::vector<float> all_latents;

  for (std::size_t first = 0; first < images; first += batch) {
    train::Conditions with;
    std::vector<std::uint64_t> numbers;
    for (std::size_t row = 0; row < batch; ++row) {
      numbers.push_back(std::min(first + row, images - 1));  // the last batch is filled up with the last picture
      append(with.context, encoder->encode(prompts[numbers.back()]));
    }
    const auto latents = predictor.draw(drawing, numbers, with, without);
    for (std::size_t row = 0; row < batch && first + row < images; ++row) {
      const auto one = std::span<const float>(latents).subspan(row * elements, elements);
      require(train::all_finite(one), Exit::Numerical, "picture {} is not finite: the weights or the guidance do not fit this model", first + row);
      all_latents.insert(all_latents.end(), one.begin(), one.end());
      if (!codec) continue;
      pictures.push_back(data::decode_scaled(*codec, one, facts.latent, facts.scaling_factor, facts.shift));
      io::write_png(std::filesystem::path(config.out) / fmt::format("image-{:05}.png", first + row), pictures.back());
    }
    log::info("{} of {} pictures", std::min(first + batch, images), images);
  }
  const std::filesystem::path out(config.out);
  train::write_latents(out / "latents.safetensors", all_latents, facts.latent);
  std::string list;
  for (std::size_t i = 0; i < images; ++i) list += fmt::format("image-{:05}.png\t{}\n", i, prompts[i]);
  io::write_file_atomically(out / "prompts.tsv", list);
  if (!pictures.empty()) io::write_png(out / "grid.png", io::make_grid(pictures, kGridColumns));
  std::cout << (pictures.empty() ? out / "latents.safetensors" : out / "grid.png").string() << std::endl;
  return 0;
}

}  // namespace ldmpi::app
