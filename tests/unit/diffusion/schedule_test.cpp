// Noise schedules against diffusers' tables, and scheduler_config.json.

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "diffusion/noise_schedule.h"
#include "reference.h"

namespace ldmpi::diffusion::test {
namespace {

ScheduleConfig config_of(BetaSchedule schedule) {
  ScheduleConfig config;
  config.beta_schedule = schedule;
  if (schedule != BetaSchedule::ScaledLinear) {
    config.beta_start = 0.0001;
    config.beta_end = 0.02;
  }
  return config;
}

void expect_relative(const std::vector<float>& actual, const std::vector<float>& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i)
    ASSERT_LE(std::abs(static_cast<double>(actual[i]) - expected[i]), tolerance * std::abs(expected[i])) << "at " << i;
}

/// Without tolerance where the arithmetic is IEEE's alone: models meet the very noise they were trained on.
class Schedules : public testing::TestWithParam<BetaSchedule> {};

TEST_P(Schedules, EqualTheReference) {
  const Reference reference;
  const auto group = fmt::format("ddpm_{}/", name_of(GetParam()));
  const auto schedule = make_noise_schedule(config_of(GetParam()));
  const double tolerance = GetParam() == BetaSchedule::SquaredCos ? 1e-6 : 0;  // cosines differ between libraries
  expect_relative(schedule.betas, reference.floats(group + "betas"), tolerance);
  expect_relative(schedule.alphas_cumprod, reference.floats(group + "alphas_cumprod"), tolerance);
}

TEST_P(Schedules, NoiseAndVelocityEqualTheReference) {
  const Reference reference;
  const auto group = fmt::format("ddpm_{}/", name_of(GetParam()));
  const auto schedule = make_noise_schedule(config_of(GetParam()));
  const auto clean = reference.floats(group + "x0");
  const auto noise = reference.floats(group + "noise");
  const auto noisy = reference.floats(group + "noisy");
  const auto velocity = reference.floats(group + "velocity");
  const auto timesteps = reference.integers(group + "t");
  const auto size = clean.size() / timesteps.size();
  for (std::size_t i = 0; i < clean.size(); ++i) {
    const auto t = static_cast<std::size_t>(timesteps[i / size]);
    const float a = schedule.sqrt_abar[t];
    const float s = schedule.sqrt_one_minus_abar[t];
    ASSERT_NEAR(a * clean[i] + s * noise[i], noisy[i], 1e-5);
    ASSERT_NEAR(a * noise[i] - s * clean[i], velocity[i], 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Schedules,
                         testing::Values(BetaSchedule::Linear, BetaSchedule::ScaledLinear, BetaSchedule::SquaredCos));

TEST(NoiseSchedule, ZeroTerminalSnrEqualsTheReference) {
  const Reference reference;
  ScheduleConfig config;
  config.rescale_betas_zero_snr = true;
  config.prediction_type = Prediction::Velocity;
  const auto schedule = make_noise_schedule(config);
  EXPECT_EQ(schedule.alphas_cumprod, reference.floats("ddim_trailing_zsnr_v_prediction/alphas_cumprod"));
  EXPECT_EQ(schedule.alphas_cumprod.back(), 0);
  EXPECT_EQ(schedule.sqrt_one_minus_abar.back(), 1);
  EXPECT_NEAR(schedule.alphas_cumprod.front(), make_noise_schedule({}).alphas_cumprod.front(), 1e-6);
}

TEST(NoiseSchedule, MinSnrWeights) {
  ScheduleConfig config;
  config.rescale_betas_zero_snr = true;
  config.prediction_type = Prediction::Velocity;
  const auto schedule = make_noise_schedule(config);
  const auto v = min_snr_weights(schedule, Prediction::Velocity, 5);
  const auto x = min_snr_weights(schedule, Prediction::Sample, 5);
  for (const std::size_t t : {0U, 100U, 500U, 999U}) {
    const double abar = schedule.alphas_cumprod[t];
    const double snr = abar / (1 - abar);
    EXPECT_NEAR(v[t], std::min(snr, 5.0) / (snr + 1), 1e-6);
    EXPECT_NEAR(x[t], std::min(snr, 5.0), 1e-5);
  }
  EXPECT_EQ(v.back(), 0);
  const auto plain = make_noise_schedule({});
  const auto eps = min_snr_weights(plain, Prediction::Epsilon, 5);
  EXPECT_EQ(eps.back(), 1);  // SNR below gamma
  EXPECT_NEAR(eps.front(), 5 / plain.snr(0), 1e-8);
  EXPECT_THROW((void)min_snr_weights(plain, Prediction::Epsilon, 0), Error);
}

TEST(ScheduleConfig, WrittenConfigsReadBackEqual) {
  ScheduleConfig config;
  EXPECT_EQ(parse_schedule_config(to_json(config), "x"), config);
  config = {.prediction_type = Prediction::Velocity,
            .beta_schedule = BetaSchedule::SquaredCos,
            .beta_start = 0.001,
            .beta_end = 0.5,
            .num_train_timesteps = 400,
            .rescale_betas_zero_snr = true,
            .steps_offset = 0,
            .timestep_spacing = Spacing::Trailing,
            .set_alpha_to_one = true,
            .clip_sample = true,
            .clip_sample_range = 2};
  EXPECT_EQ(parse_schedule_config(to_json(config), "x"), config);
}

TEST(ScheduleConfig, ReadsTheSchedulersOfPublishedPipelines) {
  const auto pndm = parse_schedule_config(R"({"_class_name": "PNDMScheduler", "beta_end": 0.012, "beta_schedule":
    "scaled_linear", "beta_start": 0.00085, "num_train_timesteps": 1000, "set_alpha_to_one": false,
    "skip_prk_steps": true, "steps_offset": 1, "trained_betas": null, "clip_sample": false})",
                                          "x");
  EXPECT_EQ(pndm, ScheduleConfig{});
  const auto absent = parse_schedule_config("{}", "x");
  EXPECT_EQ(absent.beta_schedule, BetaSchedule::Linear);
  EXPECT_EQ(absent.beta_end, 0.02);
  EXPECT_TRUE(absent.set_alpha_to_one);
}

TEST(ScheduleConfig, RefusesWhatMakesNoSchedule) {
  for (const char* text :
       {R"({"prediction_type": "flow"})", R"({"beta_schedule": "sigmoid"})", R"({"beta_start": 0.5, "beta_end": 0.1})",
        R"({"beta_start": 0})", R"({"beta_end": 1})", R"({"num_train_timesteps": 1})",
        R"({"num_train_timesteps": 1e3})", R"({"trained_betas": [0.1]})", R"({"rescale_betas_zero_snr": true})",
        R"({"steps_offset": 1000})", R"({"clip_sample": 1})", R"({"timestep_spacing": 3})", "[]", "", "{"}) {
    try {
      (void)parse_schedule_config(text, "a/scheduler_config.json");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::BadData) << text;
      EXPECT_NE(std::string(error.what()).find("a/scheduler_config.json"), std::string::npos) << error.what();
    }
  }
  ScheduleConfig epsilon;
  epsilon.rescale_betas_zero_snr = true;
  try {
    (void)make_noise_schedule(epsilon);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::BadConfig);
  }
}

}  // namespace
}  // namespace ldmpi::diffusion::test
