#include "train/run_model.h"

#include <nlohmann/json.hpp>

#include "io/atomic_file.h"

namespace ldmpi::train {
namespace {

constexpr std::size_t kMaxJson = 1 << 20;

std::string read_text(const std::filesystem::path& path) {
  const auto bytes = io::read_file(path, kMaxJson);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

nn::UnetConfig read_config(const std::filesystem::path& file) {
  return nn::parse_unet_config(read_text(file), file.string());
}

}  // namespace

RunModel open_model(const std::string& path, const std::string& config, io::WeightChoice choice) {
  RunModel model;
  std::filesystem::path config_file = config;
  if (!path.empty()) {
    model.weights = std::make_unique<io::WeightSource>(path, choice);
    const auto& place = model.weights->place();
    model.pipeline = place.pipeline;
    require(
        place.config || !config.empty(), Exit::MissingInput,
        "{} has no config.json beside its weights: give --model.config as well, the unet/config.json of the network",
        path);
    if (place.config) config_file = *place.config;
    // A pipeline keeps its scheduler; a checkpoint of this program has the same folder.
    std::vector<std::filesystem::path> candidates;
    if (place.pipeline) candidates.push_back(*place.pipeline / "scheduler" / "scheduler_config.json");
    candidates.push_back(place.weights.parent_path().parent_path() / "scheduler" / "scheduler_config.json");
    for (const auto& file : candidates)
      if (std::filesystem::exists(file)) {
        model.schedule = diffusion::parse_schedule_config(read_text(file), file.string());
        break;
      }
  }
  require(!config_file.empty(), Exit::BadConfig, "give --model.path (weights) or --model.config (a new network)");
  model.unet = read_config(config_file);
  require(config.empty() || model.unet == read_config(config), Exit::BadConfig,
          "model.config {} describes another network than {} beside the weights: leave model.config out", config,
          config_file.string());
  return model;
}

diffusion::ScheduleConfig decide_schedule(const diffusion::ScheduleConfig& model, config::DiffusionConfig& config) {
  auto result = model;
  switch (config.prediction_type) {
    case config::Prediction::Epsilon: result.prediction_type = diffusion::Prediction::Epsilon; break;
    case config::Prediction::VPrediction: result.prediction_type = diffusion::Prediction::Velocity; break;
    case config::Prediction::Sample: result.prediction_type = diffusion::Prediction::Sample; break;
    case config::Prediction::Auto: break;
  }
  switch (config.beta_schedule) {
    case config::BetaSchedule::Linear: result.beta_schedule = diffusion::BetaSchedule::Linear; break;
    case config::BetaSchedule::ScaledLinear: result.beta_schedule = diffusion::BetaSchedule::ScaledLinear; break;
    case config::BetaSchedule::SquaredCos: result.beta_schedule = diffusion::BetaSchedule::SquaredCos; break;
    case config::BetaSchedule::Auto: break;
  }
  result.beta_start = config.beta_start.value_or(result.beta_start);
  result.beta_end = config.beta_end.value_or(result.beta_end);
  result.num_train_timesteps = config.num_train_timesteps.value_or(result.num_train_timesteps);
  if (config.zero_terminal_snr != config::Switch::Auto)
    result.rescale_betas_zero_snr = config.zero_terminal_snr == config::Switch::On;
  diffusion::validate(result, Exit::BadConfig, "the diffusion options");

  config.prediction_type = result.prediction_type == diffusion::Prediction::Epsilon    ? config::Prediction::Epsilon
                           : result.prediction_type == diffusion::Prediction::Velocity ? config::Prediction::VPrediction
                                                                                       : config::Prediction::Sample;
  config.beta_schedule = result.beta_schedule == diffusion::BetaSchedule::Linear ? config::BetaSchedule::Linear
                         : result.beta_schedule == diffusion::BetaSchedule::ScaledLinear
                             ? config::BetaSchedule::ScaledLinear
                             : config::BetaSchedule::SquaredCos;
  config.beta_start = result.beta_start;
  config.beta_end = result.beta_end;
  config.num_train_timesteps = result.num_train_timesteps;
  config.zero_terminal_snr = result.rescale_betas_zero_snr ? config::Switch::On : config::Switch::Off;
  return result;
}

SamplingFacts sampling_facts(const data::DatasetInfo& dataset) {
  return {dataset.codec, dataset.text_encoder,           dataset.scaling_factor,
          dataset.shift, dataset.buckets.front().latent, dataset.context};
}

std::string to_json(const SamplingFacts& facts) {
  auto list = [](const Shape& shape) {
    return std::vector<std::int64_t>(shape.extents().begin(), shape.extents().end());
  };
  const nlohmann::ordered_json json{
      {"codec", facts.codec}, {"text_encoder", facts.text_encoder}, {"scaling_factor", facts.scaling_factor},
      {"shift", facts.shift}, {"latent", list(facts.latent)},       {"context", list(facts.context)}};
  return json.dump(2) + "\n";
}

SamplingFacts parse_sampling_facts(const std::string& json, const std::string& origin) {
  try {
    const auto object = nlohmann::json::parse(json);
    SamplingFacts facts;
    object.at("codec").get_to(facts.codec);
    object.at("text_encoder").get_to(facts.text_encoder);
    object.at("scaling_factor").get_to(facts.scaling_factor);
    object.at("shift").get_to(facts.shift);
    const auto latent = object.at("latent").get<std::vector<std::int64_t>>();
    const auto context = object.at("context").get<std::vector<std::int64_t>>();
    require(latent.size() == 3 && context.size() == 2 && facts.scaling_factor != 0, Exit::BadData,
            "{}: latent needs three extents, context two, and scaling_factor may not be 0", origin);
    facts.latent = Shape(latent);
    facts.context = Shape(context);
    return facts;
  } catch (const nlohmann::json::exception& e) {
    fail(Exit::BadData, "{}: {}", origin, e.what());
  }
}

}  // namespace ldmpi::train
