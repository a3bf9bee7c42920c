#include "diffusion/noise_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ldmpi::diffusion {

namespace {

/// `count` values from first to last with the roundings of torch.linspace on a CPU: each half is counted from its own
/// end, and only the first of eight neighbours is computed from the end itself.
std::vector<float> linspace(float first, float last, std::size_t count) {
  constexpr std::size_t kLanes = 8;
  const float step = (last - first) / static_cast<float>(count - 1);
  const auto from_end = [&](std::size_t i) {
    return i < count / 2 ? std::fma(step, static_cast<float>(i), first)
                         : std::fma(-step, static_cast<float>(count - 1 - i), last);
  };
  std::vector<float> result(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto group = i - i % kLanes;
    const auto start = group + kLanes <= count ? group : i;
    result[i] = from_end(start) + step * static_cast<float>(i - start);
  }
  return result;
}

std::vector<float> betas_of(const ScheduleConfig& config) {
  const auto count = static_cast<std::size_t>(config.num_train_timesteps);
  switch (config.beta_schedule) {
    case BetaSchedule::Linear:
      return linspace(static_cast<float>(config.beta_start), static_cast<float>(config.beta_end), count);
    case BetaSchedule::ScaledLinear: {
      auto betas = linspace(static_cast<float>(std::sqrt(config.beta_start)),
                            static_cast<float>(std::sqrt(config.beta_end)), count);
      for (auto& beta : betas) beta *= beta;
      return betas;
    }
    case BetaSchedule::SquaredCos: break;
  }
  const auto abar = [&](std::size_t i) {
    const double t = static_cast<double>(i) / static_cast<double>(count);
    const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return c * c;
  };
  std::vector<float> betas(count);
  for (std::size_t i = 0; i < count; ++i) betas[i] = static_cast<float>(std::min(1 - abar(i + 1) / abar(i), 0.999));
  return betas;
}

/// Running product of 1 - beta, kept in double and stored in float.
std::vector<float> cumulative_alphas(const std::vector<float>& betas) {
  std::vector<float> result(betas.size());
  double product = 1;
  for (std::size_t i = 0; i < betas.size(); ++i) {
    product *= static_cast<double>(1 - betas[i]);
    result[i] = static_cast<float>(product);
  }
  return result;
}

/// Shifts and stretches sqrt(abar) so that its last value is 0 and its first stays (Lin et al., 2023, algorithm 1).
std::vector<float> zero_terminal_snr(const std::vector<float>& betas) {
  auto bars = cumulative_alphas(betas);
  for (auto& bar : bars) bar = std::sqrt(bar);
  const float first = bars.front();
  const float last = bars.back();
  for (auto& bar : bars) {
    bar = (bar - last) * (first / (first - last));
    bar *= bar;
  }
  std::vector<float> result(betas.size());
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = 1 - (i == 0 ? bars[0] : bars[i] / bars[i - 1]);
  return result;
}

}  // namespace

double NoiseSchedule::snr(std::size_t t) const {
  const double abar = alphas_cumprod.at(t);
  return abar / (1 - abar);
}

NoiseSchedule make_noise_schedule(const ScheduleConfig& config) {
  validate(config, Exit::BadConfig, "noise schedule");
  NoiseSchedule result;
  result.betas = betas_of(config);
  if (config.rescale_betas_zero_snr) result.betas = zero_terminal_snr(result.betas);
  result.alphas_cumprod = cumulative_alphas(result.betas);
  for (const float abar : result.alphas_cumprod) {
    result.sqrt_abar.push_back(std::sqrt(abar));
    result.sqrt_one_minus_abar.push_back(std::sqrt(1 - abar));
  }
  return result;
}

std::vector<float> min_snr_weights(const NoiseSchedule& schedule, Prediction prediction, double gamma) {
  require(gamma > 0, Exit::BadConfig, "snr_gamma must be positive, not {}", gamma);
  std::vector<float> result;
  for (std::size_t t = 0; t < schedule.alphas_cumprod.size(); ++t) {
    const double snr = schedule.snr(t);
    const double capped = std::min(snr, gamma);
    switch (prediction) {
      case Prediction::Epsilon: result.push_back(static_cast<float>(capped / snr)); break;
      case Prediction::Velocity: result.push_back(static_cast<float>(capped / (snr + 1))); break;
      case Prediction::Sample: result.push_back(static_cast<float>(capped)); break;
    }
  }
  return result;
}

}  // namespace ldmpi::diffusion
