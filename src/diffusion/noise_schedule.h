#pragma once
// The noise of every timestep, computed in float32 as diffusers does, so that models meet the noise they were trained
// on.

#include <vector>

#include "diffusion/schedule_config.h"

namespace ldmpi::diffusion {

/// Tables of num_train_timesteps values. A noisy sample is sqrt_abar[t] * x0 + sqrt_one_minus_abar[t] * noise.
struct NoiseSchedule {
  std::vector<float> betas;
  std::vector<float> alphas_cumprod;  ///< abar
  std::vector<float> sqrt_abar;
  std::vector<float> sqrt_one_minus_abar;

  /// abar / (1 - abar)
  [[nodiscard]] double snr(std::size_t t) const;
};

/// Throws Error(BadConfig) where validate() would.
[[nodiscard]] NoiseSchedule make_noise_schedule(const ScheduleConfig& config);

/// Loss weight of each timestep by the min-SNR-gamma rule: min(SNR,gamma) / SNR for epsilon, / (SNR+1) for velocity,
/// min(SNR,gamma) for sample. gamma > 0.
[[nodiscard]] std::vector<float> min_snr_weights(const NoiseSchedule& schedule, Prediction prediction, double gamma);

}  // namespace ldmpi::diffusion
