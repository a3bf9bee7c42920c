#pragma once
// What a model was trained to predict, under which noise: the fields of diffusers' scheduler_config.json in use here.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"

namespace ldmpi::diffusion {

enum class Prediction : std::uint8_t { Epsilon, Velocity, Sample };
enum class BetaSchedule : std::uint8_t { Linear, ScaledLinear, SquaredCos };
enum class Spacing : std::uint8_t { Leading, Trailing, Linspace };

/// diffusers' words: epsilon, v_prediction, sample; linear, scaled_linear, squaredcos_cap_v2; leading, trailing,
/// linspace.
[[nodiscard]] std::string_view name_of(Prediction prediction) noexcept;
[[nodiscard]] std::string_view name_of(BetaSchedule schedule) noexcept;
[[nodiscard]] std::string_view name_of(Spacing spacing) noexcept;

/// Defaults are those of Stable Diffusion 1.x.
struct ScheduleConfig {
  Prediction prediction_type = Prediction::Epsilon;
  BetaSchedule beta_schedule = BetaSchedule::ScaledLinear;
  double beta_start = 0.00085;
  double beta_end = 0.012;
  std::int64_t num_train_timesteps = 1000;
  bool rescale_betas_zero_snr = false;  ///< zero terminal SNR
  std::int64_t steps_offset = 1;        ///< of the sampler's timesteps with leading spacing
  Spacing timestep_spacing = Spacing::Leading;
  bool set_alpha_to_one = false;  ///< the sampler's last step ends at abar = 1, else at the first timestep's
  bool clip_sample = false;       ///< the sampler clamps its x0 to +-clip_sample_range
  double clip_sample_range = 1;

  friend bool operator==(const ScheduleConfig&, const ScheduleConfig&) = default;
};

/// Throws Error(`code`) with the reason if the numbers make no schedule (0 < beta_start <= beta_end < 1, 2..1'000'000
/// timesteps, ...) or contradict each other: epsilon with zero terminal SNR cannot be learnt. `origin` begins the
/// message.
void validate(const ScheduleConfig& config, Exit code, std::string_view origin);

/// Reads the scheduler_config.json of any of diffusers' schedulers; fields that only matter to other samplers are
/// ignored, absent ones take DDIMScheduler's defaults, but no clipping. Throws Error(BadData) naming `origin` and the
/// field.
[[nodiscard]] ScheduleConfig parse_schedule_config(std::string_view json_text, std::string_view origin);

/// A scheduler_config.json (DDIMScheduler) that diffusers and parse_schedule_config read back.
[[nodiscard]] std::string to_json(const ScheduleConfig& config);

}  // namespace ldmpi::diffusion
