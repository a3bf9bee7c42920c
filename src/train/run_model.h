#pragma once
// Which model a command works on: its network, its noise schedule, and where its weights come from.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "config/config.h"
#include "data/dataset.h"
#include "diffusion/schedule_config.h"
#include "io/weights.h"
#include "nn/unet_config.h"

namespace ldmpi::train {

struct RunModel {
  nn::UnetConfig unet;
  diffusion::ScheduleConfig schedule;             ///< of the pipeline where there is one, else the defaults
  std::unique_ptr<io::WeightSource> weights;      ///< none: random initial weights
  std::optional<std::filesystem::path> pipeline;  ///< folder whose other parts are carried over
};

/// Opens the weights at `path`, or without one the network of the file `config`. With both, `config` describes weights
/// that have no config.json beside them. Errors: MissingInput, BadData naming the file, BadConfig where the two
/// describe different networks.
[[nodiscard]] RunModel open_model(const std::string& path, const std::string& config,
                                  io::WeightChoice choice = io::WeightChoice::Offered);

/// The schedule of the model with what the configuration overrides; writes the decisions back into the configuration.
[[nodiscard]] diffusion::ScheduleConfig decide_schedule(const diffusion::ScheduleConfig& model,
                                                        config::DiffusionConfig& config);

/// How latents and prompts were made, so that samples can be drawn from the weights alone: stored as ldmpi.json.
struct SamplingFacts {
  std::string codec;
  std::string text_encoder;
  double scaling_factor = 1;
  double shift = 0;
  Shape latent;   ///< [C,H,W]
  Shape context;  ///< [T,D]
};
inline constexpr const char* kSamplingFactsFile = "ldmpi.json";
[[nodiscard]] SamplingFacts sampling_facts(const data::DatasetInfo& dataset);
[[nodiscard]] std::string to_json(const SamplingFacts& facts);
/// Throws Error(BadData) naming `origin`.
[[nodiscard]] SamplingFacts parse_sampling_facts(const std::string& json, const std::string& origin);

}  // namespace ldmpi::train
