// Samplers: DDIM against diffusers' trajectories, the solver against its definition and an exact case.

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "diffusion/sampler.h"
#include "reference.h"

namespace ldmpi::diffusion::test {
namespace {

struct Case {
  const char* name;
  Prediction prediction;
  bool trailing;
  double a, b, c;  ///< of the stand-in model
};

class DdimTrajectory : public testing::TestWithParam<Case> {};

TEST_P(DdimTrajectory, EqualsTheReference) {
  const auto& param = GetParam();
  const Reference reference;
  const auto group = fmt::format("ddim_{}/", param.name);
  ScheduleConfig config;
  config.prediction_type = param.prediction;
  if (param.trailing) {
    config.rescale_betas_zero_snr = true;
    config.timestep_spacing = Spacing::Trailing;
    config.set_alpha_to_one = true;
    config.steps_offset = 0;
  }
  const auto sampler = make_sampler(SamplerKind::Ddim, config, 10);
  const auto timesteps = sampler->timesteps();
  ASSERT_EQ(std::vector<std::int64_t>(timesteps.begin(), timesteps.end()), reference.integers(group + "timesteps"));

  auto latents = reference.floats(group + "x_T");
  const auto trajectory = reference.floats(group + "trajectory");
  ASSERT_EQ(trajectory.size(), 10 * latents.size());
  std::vector<float> prediction(latents.size());
  double worst = 0;
  for (std::size_t i = 0; i < timesteps.size(); ++i) {
    // y = a x + b x(one to the left, around the row of 8) + c t / 1000
    for (std::size_t k = 0; k < latents.size(); ++k) {
      const auto left = k % 8 == 0 ? k + 7 : k - 1;
      prediction[k] = static_cast<float>(param.a) * latents[k] + static_cast<float>(param.b) * latents[left] +
                      static_cast<float>(param.c * static_cast<double>(timesteps[i]) / 1000);
    }
    sampler->step(i, prediction, latents);
    for (std::size_t k = 0; k < latents.size(); ++k)
      worst = std::max(worst, std::abs(static_cast<double>(latents[k]) - trajectory[i * latents.size() + k]));
  }
  EXPECT_LE(worst, 2e-5);
}

INSTANTIATE_TEST_SUITE_P(
    All, DdimTrajectory,
    testing::Values(Case{"leading1_epsilon", Prediction::Epsilon, false, 0.453125, 0.21875, 0.109375},
                    Case{"leading1_v_prediction", Prediction::Velocity, false, 0.375, 0.25, 0.140625},
                    Case{"leading1_sample", Prediction::Sample, false, 0.265625, 0.171875, 0.09375},
                    Case{"trailing_zsnr_v_prediction", Prediction::Velocity, true, 0.359375, 0.1875, 0.109375},
                    Case{"trailing_zsnr_sample", Prediction::Sample, true, 0.46875, 0.25, 0.078125}));

std::vector<std::int64_t> timesteps_of(SamplerKind kind, Spacing spacing, std::int64_t offset, std::int64_t steps) {
  ScheduleConfig config;
  config.timestep_spacing = spacing;
  config.steps_offset = offset;
  return sampling_timesteps(kind, config, steps);
}

TEST(SamplingTimesteps, AreThoseOfDiffusers) {
  using List = std::vector<std::int64_t>;
  EXPECT_EQ(timesteps_of(SamplerKind::Ddim, Spacing::Leading, 1, 4), (List{751, 501, 251, 1}));
  EXPECT_EQ(timesteps_of(SamplerKind::Ddim, Spacing::Trailing, 0, 4), (List{999, 749, 499, 249}));
  EXPECT_EQ(timesteps_of(SamplerKind::Ddim, Spacing::Linspace, 0, 4), (List{999, 666, 333, 0}));
  EXPECT_EQ(timesteps_of(SamplerKind::DpmSolverPp, Spacing::Leading, 1, 4), (List{801, 601, 401, 201}));
  EXPECT_EQ(timesteps_of(SamplerKind::DpmSolverPp, Spacing::Trailing, 0, 4), (List{999, 749, 499, 249}));
  EXPECT_EQ(timesteps_of(SamplerKind::DpmSolverPp, Spacing::Linspace, 0, 4), (List{999, 749, 500, 250}));
  EXPECT_THROW((void)timesteps_of(SamplerKind::Ddim, Spacing::Leading, 1, 0), Error);
  EXPECT_THROW((void)timesteps_of(SamplerKind::Ddim, Spacing::Leading, 1, 1000), Error);
}

/// The best possible model where every pixel of the data is N(mean, deviation^2): all trajectories are then known.
class Gaussian {
 public:
  Gaussian(const ScheduleConfig& config, double mean, double deviation)
      : schedule_(make_noise_schedule(config)),
        type_(config.prediction_type),
        mean_(mean),
        variance_(deviation * deviation) {}

  void predict(std::int64_t timestep, std::span<const float> x, std::span<float> prediction) const {
    const double abar = schedule_.alphas_cumprod[static_cast<std::size_t>(timestep)];
    const double a = std::sqrt(abar);
    const double s = std::sqrt(1 - abar);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double gain = a * variance_ / (a * a * variance_ + s * s);
      const double clean = mean_ + gain * (x[i] - a * mean_);
      const double noise = (x[i] - a * clean) / s;
      prediction[i] = static_cast<float>(type_ == Prediction::Epsilon    ? noise
                                         : type_ == Prediction::Velocity ? a * noise - s * clean
                                                                         : clean);
    }
  }
  /// Where the noise-free flow ends that passes x at the timestep: the distance from the mean shrinks with the spread.
  [[nodiscard]] double end(std::int64_t timestep, double x) const {
    const double abar = schedule_.alphas_cumprod[static_cast<std::size_t>(timestep)];
    return mean_ + std::sqrt(variance_ / (abar * variance_ + 1 - abar)) * (x - std::sqrt(abar) * mean_);
  }

 private:
  NoiseSchedule schedule_;
  Prediction type_;
  double mean_;
  double variance_;
};

double worst_error(SamplerKind kind, const ScheduleConfig& config, std::int64_t steps) {
  const Gaussian model(config, 0.7, 2);
  const auto sampler = make_sampler(kind, config, steps);
  const Draw draw{5, Purpose::Sampler, 0};
  std::vector<float> latents(64);
  for (std::size_t i = 0; i < latents.size(); ++i) latents[i] = draw.normal(i);
  std::vector<double> expected;
  for (const float x : latents) expected.push_back(model.end(sampler->timesteps().front(), x));
  run_sampler(*sampler, latents, [&](auto t, auto x, auto y) { model.predict(t, x, y); });
  double worst = 0;
  for (std::size_t i = 0; i < latents.size(); ++i) worst = std::max(worst, std::abs(latents[i] - expected[i]));
  return worst;
}

TEST(Samplers, FollowTheExactFlowOfGaussianData) {
  for (const auto prediction : {Prediction::Epsilon, Prediction::Velocity, Prediction::Sample}) {
    ScheduleConfig config;
    config.prediction_type = prediction;
    config.timestep_spacing = Spacing::Linspace;
    config.set_alpha_to_one = true;
    const double ddim = worst_error(SamplerKind::Ddim, config, 25);
    const double solver = worst_error(SamplerKind::DpmSolverPp, config, 25);
    EXPECT_LT(ddim, 0.5) << name_of(prediction);
    EXPECT_LT(worst_error(SamplerKind::Ddim, config, 200), ddim / 4) << name_of(prediction);
    EXPECT_LT(solver, ddim / 8) << name_of(prediction);  // second order
    EXPECT_LT(worst_error(SamplerKind::DpmSolverPp, config, 100), solver / 2) << name_of(prediction);
  }
}

TEST(Samplers, StartFromPureNoiseWithZeroTerminalSnr) {
  ScheduleConfig config;
  config.rescale_betas_zero_snr = true;
  config.timestep_spacing = Spacing::Trailing;
  config.set_alpha_to_one = true;
  for (const auto prediction : {Prediction::Velocity, Prediction::Sample}) {
    config.prediction_type = prediction;
    EXPECT_LT(worst_error(SamplerKind::DpmSolverPp, config, 50), 0.05) << name_of(prediction);
    EXPECT_LT(worst_error(SamplerKind::Ddim, config, 50), 0.2) << name_of(prediction);
  }
}

TEST(Samplers, ClipTheCleanSampleWhereAsked) {
  ScheduleConfig config;
  config.prediction_type = Prediction::Sample;
  config.clip_sample = true;
  config.clip_sample_range = 0.25;
  std::vector<float> latents(4, 3.0F);
  const auto sampler = make_sampler(SamplerKind::DpmSolverPp, config, 5);
  run_sampler(*sampler, latents, [](auto, auto, std::span<float> y) { std::fill(y.begin(), y.end(), 9.0F); });
  for (const float x : latents) EXPECT_FLOAT_EQ(x, 0.25F);
}

TEST(Guidance, GoesBeyondTheCondition) {
  std::vector<float> unconditional{1, -2};
  guide(unconditional, std::vector<float>{2, -2}, 3);
  EXPECT_EQ(unconditional, (std::vector<float>{4, -2}));
}

}  // namespace
}  // namespace ldmpi::diffusion::test
