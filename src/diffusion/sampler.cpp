#include "diffusion/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace ldmpi::diffusion {

namespace {

/// A noisy sample is alpha * x0 + sigma * noise.
struct Level {
  double alpha = 1;
  double sigma = 0;

  explicit Level(double abar) : alpha(std::sqrt(abar)), sigma(std::sqrt(1 - abar)) {}
  /// Half the logarithm of the signal-to-noise ratio; infinite at the ends.
  [[nodiscard]] double lambda() const { return std::log(alpha) - std::log(sigma); }
};

/// The clean sample and the noise that a prediction implies.
struct Parts {
  double clean = 0;
  double noise = 0;
};

class Converter {
 public:
  explicit Converter(const ScheduleConfig& config)
      : type_(config.prediction_type),
        limit_(config.clip_sample ? config.clip_sample_range : std::numeric_limits<double>::infinity()) {}

  [[nodiscard]] Parts operator()(const Level& at, double x, double prediction) const {
    Parts parts;
    switch (type_) {
      case Prediction::Epsilon: parts = {(x - at.sigma * prediction) / at.alpha, prediction}; break;
      case Prediction::Velocity:
        parts = {at.alpha * x - at.sigma * prediction, at.alpha * prediction + at.sigma * x};
        break;
      case Prediction::Sample: parts = {prediction, (x - at.alpha * prediction) / at.sigma}; break;
    }
    parts.clean = std::clamp(parts.clean, -limit_, limit_);
    return parts;
  }

 private:
  Prediction type_;
  double limit_;
};

void check_sizes(std::span<const float> prediction, std::span<const float> latents) {
  LDMPI_CHECK(prediction.size() == latents.size(), "{} predictions for {} latents", prediction.size(), latents.size());
}

class Ddim final : public Sampler {
 public:
  Ddim(const ScheduleConfig& config, std::int64_t steps)
      : Sampler(sampling_timesteps(SamplerKind::Ddim, config, steps)), convert_(config) {
    const auto abar = make_noise_schedule(config).alphas_cumprod;
    const double last = config.set_alpha_to_one ? 1 : abar.front();
    for (const auto t : timesteps()) {
      const auto next = t - config.num_train_timesteps / steps;
      from_.emplace_back(abar.at(static_cast<std::size_t>(t)));
      to_.emplace_back(next >= 0 ? static_cast<double>(abar.at(static_cast<std::size_t>(next))) : last);
    }
  }

  void step(std::size_t i, std::span<const float> prediction, std::span<float> latents) override {
    check_sizes(prediction, latents);
    const auto& to = to_.at(i);
    for (std::size_t k = 0; k < latents.size(); ++k) {
      const auto parts = convert_(from_[i], latents[k], prediction[k]);
      latents[k] = static_cast<float>(to.alpha * parts.clean + to.sigma * parts.noise);
    }
  }

 private:
  Converter convert_;
  std::vector<Level> from_;
  std::vector<Level> to_;
};

class DpmSolverPp final : public Sampler {
 public:
  DpmSolverPp(const ScheduleConfig& config, std::int64_t steps)
      : Sampler(sampling_timesteps(SamplerKind::DpmSolverPp, config, steps)), convert_(config) {
    const auto abar = make_noise_schedule(config).alphas_cumprod;
    for (const auto t : timesteps()) levels_.emplace_back(abar.at(static_cast<std::size_t>(t)));
    levels_.emplace_back(1.0);  // the last step ends without noise
  }

  void step(std::size_t i, std::span<const float> prediction, std::span<float> latents) override {
    check_sizes(prediction, latents);
    const auto& from = levels_.at(i);
    const auto& to = levels_.at(i + 1);
    const bool second_order = i > 0 && i + 1 < timesteps().size();
    // Half of (lambda_to - lambda_from) / (lambda_from - lambda_before): the weight of the extrapolation of x0.
    const double extrapolate =
        second_order ? 0.5 * (to.lambda() - from.lambda()) / (from.lambda() - levels_[i - 1].lambda()) : 0;
    const double keep = to.sigma / from.sigma;
    const double gain = to.alpha - from.alpha * keep;
    previous_.resize(latents.size());
    for (std::size_t k = 0; k < latents.size(); ++k) {
      const double clean = convert_(from, latents[k], prediction[k]).clean;
      const double change = second_order ? extrapolate * (clean - previous_[k]) : 0;
      latents[k] = static_cast<float>(keep * latents[k] + gain * (clean + change));
      previous_[k] = clean;
    }
  }

 private:
  Converter convert_;
  std::vector<Level> levels_;
  std::vector<double> previous_;  // x0 of the step before
};

}  // namespace

std::vector<std::int64_t> sampling_timesteps(SamplerKind kind, const ScheduleConfig& config, std::int64_t steps) {
  const auto total = config.num_train_timesteps;
  require(steps >= 1 && steps < total, Exit::BadConfig, "the number of sampling steps must lie in 1 .. {}, not {}",
          total - 1, steps);
  // The solver places one point more and leaves the lowest to its final step.
  const auto points = kind == SamplerKind::DpmSolverPp ? steps + 1 : steps;
  const auto divide = [](std::int64_t a, std::int64_t b) { return static_cast<double>(a) / static_cast<double>(b); };
  std::vector<std::int64_t> result;
  for (std::int64_t i = 0; i < steps; ++i) {
    const auto left = points - 1 - i;
    std::int64_t t = 0;
    switch (config.timestep_spacing) {
      case Spacing::Leading: t = left * (total / points) + config.steps_offset; break;
      case Spacing::Trailing:
        t = std::llrint(static_cast<double>(total) - static_cast<double>(i) * divide(total, steps)) - 1;
        break;
      case Spacing::Linspace:
        t = points == 1 ? 0 : std::llrint(static_cast<double>(left) * divide(total - 1, points - 1));
        break;
    }
    result.push_back(std::min(t, total - 1));
  }
  return result;
}

std::unique_ptr<Sampler> make_sampler(SamplerKind kind, const ScheduleConfig& config, std::int64_t steps) {
  if (kind == SamplerKind::Ddim) return std::make_unique<Ddim>(config, steps);
  return std::make_unique<DpmSolverPp>(config, steps);
}

void run_sampler(Sampler& sampler, std::span<float> latents, const Predict& predict) {
  std::vector<float> prediction(latents.size());
  for (std::size_t i = 0; i < sampler.timesteps().size(); ++i) {
    predict(sampler.timesteps()[i], latents, prediction);
    sampler.step(i, prediction, latents);
  }
}

void guide(std::span<float> unconditional, std::span<const float> conditional, double scale) {
  check_sizes(conditional, unconditional);
  for (std::size_t i = 0; i < unconditional.size(); ++i)
    unconditional[i] += static_cast<float>(scale) * (conditional[i] - unconditional[i]);
}

}  // namespace ldmpi::diffusion
