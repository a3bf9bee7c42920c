#include "diffusion/schedule_config.h"

#include <nlohmann/json.hpp>

#include "nn/json_fields.h"

namespace ldmpi::diffusion {

std::string_view name_of(Prediction prediction) noexcept {
  switch (prediction) {
    case Prediction::Epsilon: return "epsilon";
    case Prediction::Velocity: return "v_prediction";
    case Prediction::Sample: return "sample";
  }
  return {};
}

std::string_view name_of(BetaSchedule schedule) noexcept {
  switch (schedule) {
    case BetaSchedule::Linear: return "linear";
    case BetaSchedule::ScaledLinear: return "scaled_linear";
    case BetaSchedule::SquaredCos: return "squaredcos_cap_v2";
  }
  return {};
}

std::string_view name_of(Spacing spacing) noexcept {
  switch (spacing) {
    case Spacing::Leading: return "leading";
    case Spacing::Trailing: return "trailing";
    case Spacing::Linspace: return "linspace";
  }
  return {};
}

namespace {

/// The field's value among the three of an enum that counts from 0.
template <typename E>
E choice(nn::JsonFields& fields, const char* name, E fallback) {
  const auto word = fields.word(name, name_of(fallback), {name_of(E{0}), name_of(E{1}), name_of(E{2})});
  for (int i = 0; i < 3; ++i)
    if (word == name_of(static_cast<E>(i))) return static_cast<E>(i);
  return fallback;
}

}  // namespace

void validate(const ScheduleConfig& c, Exit code, std::string_view origin) {
  require(c.beta_start > 0 && c.beta_start <= c.beta_end && c.beta_end < 1, code,
          "{}: 0 < beta_start <= beta_end < 1 is needed, not {} and {}", origin, c.beta_start, c.beta_end);
  require(c.num_train_timesteps >= 2 && c.num_train_timesteps <= 1'000'000, code,
          "{}: num_train_timesteps must lie in 2 .. 1000000, not {}", origin, c.num_train_timesteps);
  require(c.steps_offset >= 0 && c.steps_offset < c.num_train_timesteps, code,
          "{}: steps_offset must lie in 0 .. num_train_timesteps - 1, not {}", origin, c.steps_offset);
  require(c.clip_sample_range > 0, code, "{}: clip_sample_range must be positive, not {}", origin, c.clip_sample_range);
  require(!c.rescale_betas_zero_snr || c.prediction_type != Prediction::Epsilon, code,
          "{}: with zero terminal SNR the last timestep is pure noise, from which epsilon says nothing; "
          "use prediction_type v_prediction or sample",
          origin);
}

ScheduleConfig parse_schedule_config(std::string_view json_text, std::string_view origin) {
  nn::JsonFields fields(json_text, origin, "scheduler config");
  ScheduleConfig config;
  config.prediction_type = choice(fields, "prediction_type", Prediction::Epsilon);
  config.beta_schedule = choice(fields, "beta_schedule", BetaSchedule::Linear);
  config.beta_start = fields.number("beta_start", 0.0001, 0, 1);
  config.beta_end = fields.number("beta_end", 0.02, 0, 1);
  config.num_train_timesteps = fields.integer("num_train_timesteps", 1000, {2, 1'000'000});
  config.rescale_betas_zero_snr = fields.boolean("rescale_betas_zero_snr", false);
  config.steps_offset = fields.integer("steps_offset", 0, {0, 1'000'000});
  config.timestep_spacing = choice(fields, "timestep_spacing", Spacing::Leading);
  config.set_alpha_to_one = fields.boolean("set_alpha_to_one", true);
  config.clip_sample = fields.boolean("clip_sample", false);
  config.clip_sample_range = fields.number("clip_sample_range", 1, 0, 1e6);
  fields.only("trained_betas", {"null"});
  validate(config, Exit::BadData, origin);
  return config;
}

std::string to_json(const ScheduleConfig& config) {
  const nlohmann::ordered_json result{
      {"_class_name", "DDIMScheduler"},
      {"_diffusers_version", "0.21.4"},
      {"beta_end", config.beta_end},
      {"beta_schedule", name_of(config.beta_schedule)},
      {"beta_start", config.beta_start},
      {"clip_sample", config.clip_sample},
      {"clip_sample_range", config.clip_sample_range},
      {"num_train_timesteps", config.num_train_timesteps},
      {"prediction_type", name_of(config.prediction_type)},
      {"rescale_betas_zero_snr", config.rescale_betas_zero_snr},
      {"set_alpha_to_one", config.set_alpha_to_one},
      {"steps_offset", config.steps_offset},
      {"thresholding", false},
      {"timestep_spacing", name_of(config.timestep_spacing)},
      {"trained_betas", nullptr},
  };
  return result.dump(2) + "\n";
}

}  // namespace ldmpi::diffusion
