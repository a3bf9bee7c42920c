// The training graph: what each objective is made of, and what it refuses.

#include <gtest/gtest.h>

#include <algorithm>

#include "diffusion/objective.h"
#include "ir/differentiate.h"

namespace ldmpi::diffusion::test {
namespace {

const Shape kLatent{2, 4, 8, 6};

struct Fixture {
  ir::Graph graph;
  ir::Builder b{graph};
  TrainInputs inputs;
  nn::UnetInputs seen;  ///< what the model was given

  Fixture() {
    inputs.draws = b.input("draws", {DType::I64, {2}});
    inputs.latents = b.input("latents", {DType::F32, {8, 48}});
    inputs.context = b.input("context", {DType::F32, {14, 32}});
    inputs.empty = b.input("empty", {DType::F32, {7, 32}});
  }
  /// A stand-in for the U-Net that keeps the shape.
  Model model() {
    return [this](const ir::Builder& builder, const nn::UnetInputs& given) {
      seen = given;
      return builder.silu(given.sample);
    };
  }
  TrainingLoss build(const Objective& objective, DType dtype = DType::F32) {
    return build_training_loss(b, objective, inputs, kLatent, dtype, model());
  }
  [[nodiscard]] const ir::Node& node(ir::Value value) const {
    return graph.nodes().at(static_cast<std::size_t>(graph.producer(value)));
  }
  template <typename O>
  [[nodiscard]] std::vector<const O*> all() const {
    std::vector<const O*> result;
    for (const auto& item : graph.nodes())
      if (const auto* op = std::get_if<O>(&item.op)) result.push_back(op);
    return result;
  }
};

TEST(TrainingLoss, EpsilonAimsAtTheNoise) {
  Fixture f;
  Objective objective;
  objective.seed = 9;
  const auto loss = f.build(objective, DType::BF16);
  EXPECT_EQ(f.graph.type(loss.loss), (ir::Type{DType::F32, {1}}));
  EXPECT_EQ(loss.target, loss.noise);
  EXPECT_EQ(f.graph.type(loss.noise), (ir::Type{DType::F32, kLatent}));
  EXPECT_EQ(f.graph.type(loss.noisy), (ir::Type{DType::BF16, kLatent}));
  EXPECT_EQ(f.graph.type(loss.timesteps), (ir::Type{DType::I64, {2}}));
  EXPECT_EQ(f.seen.sample, loss.noisy);
  EXPECT_EQ(f.graph.type(f.seen.context), (ir::Type{DType::BF16, {14, 32}}));
  EXPECT_TRUE(f.all<ir::DropCaption>().empty());
  ASSERT_EQ(f.all<ir::RandomNormal>().size(), 1U);
  EXPECT_EQ(f.all<ir::RandomNormal>()[0]->purpose, Purpose::Noise);
  EXPECT_EQ(f.all<ir::RandomNormal>()[0]->seed, 9U);
  EXPECT_EQ(f.all<ir::Constant>().size(), 2U);  // no weights
  EXPECT_EQ(f.all<ir::Fill>().size(), 1U);
}

TEST(TrainingLoss, NoisyIsSignalTimesCleanPlusSpreadTimesNoise) {
  Fixture f;
  const auto loss = f.build({});
  const auto& blend = f.node(loss.noisy);
  const auto table = [&](ir::Value looked_up) {
    return *std::get<ir::Constant>(f.node(f.node(looked_up).inputs[0]).op).data;
  };
  const auto schedule = make_noise_schedule({});
  EXPECT_EQ(table(blend.inputs[0]), schedule.sqrt_abar);
  EXPECT_TRUE(std::holds_alternative<ir::FromCanonical>(f.node(blend.inputs[1]).op));
  EXPECT_EQ(table(blend.inputs[2]), schedule.sqrt_one_minus_abar);
  EXPECT_EQ(blend.inputs[3], loss.noise);
}

TEST(TrainingLoss, VelocityAndSampleTargets) {
  Fixture f;
  Objective objective;
  objective.schedule.prediction_type = Prediction::Velocity;
  const auto v = f.build(objective);
  const auto& target = f.node(v.target);
  const auto& noisy = f.node(v.noisy);
  ASSERT_TRUE(std::holds_alternative<ir::Blend>(target.op));
  EXPECT_EQ(target.inputs[0], noisy.inputs[0]);
  EXPECT_EQ(target.inputs[1], v.noise);
  EXPECT_EQ(std::get<ir::Scale>(f.node(target.inputs[2]).op).factor, -1);
  EXPECT_EQ(f.node(target.inputs[2]).inputs[0], noisy.inputs[2]);
  EXPECT_EQ(target.inputs[3], noisy.inputs[1]);
  objective.schedule.prediction_type = Prediction::Sample;
  const auto x = f.build(objective);
  EXPECT_EQ(x.target, f.node(x.noisy).inputs[1]);
}

TEST(TrainingLoss, EveryOptionAddsItsOps) {
  Fixture f;
  f.inputs.latents = f.b.input("moments", {DType::F32, {16, 48}});
  f.inputs.moments = true;
  f.inputs.pooled = f.b.input("pooled", {DType::F32, {2, 16}});
  f.inputs.empty_pooled = f.b.input("empty_pooled", {DType::F32, {1, 16}});
  f.inputs.time_ids = f.b.input("time_ids", {DType::F32, {2, 6}});
  Objective objective;
  objective.snr_gamma = 5;
  objective.noise_offset = 0.1;
  objective.caption_dropout = 0.25;
  objective.seed = 4;
  const auto loss = f.build(objective, DType::F16);
  ASSERT_EQ(f.all<ir::DropCaption>().size(), 2U);
  EXPECT_EQ(*f.all<ir::DropCaption>()[0], *f.all<ir::DropCaption>()[1]);  // equal draws: dropped together
  std::vector<Purpose> purposes;
  for (const auto* op : f.all<ir::RandomNormal>()) purposes.push_back(op->purpose);
  std::sort(purposes.begin(), purposes.end());
  EXPECT_EQ(purposes, (std::vector{Purpose::Noise, Purpose::OffsetNoise, Purpose::Posterior}));
  EXPECT_EQ(f.all<ir::MulAdd>().size(), 1U);
  EXPECT_TRUE(std::holds_alternative<ir::Lookup>(f.node(loss.weights).op));
  EXPECT_TRUE(std::holds_alternative<ir::AddChannels>(f.node(loss.noise).op));
  EXPECT_EQ(f.seen.time_ids, f.inputs.time_ids);
  EXPECT_EQ(f.graph.type(f.seen.text_embeds), (ir::Type{DType::F16, {2, 16}}));
}

TEST(TrainingLoss, ValidationDrawsOnlyNoiseAndTimestepsOfItsOwn) {
  Objective training;
  training.snr_gamma = 5;
  training.noise_offset = 0.1;
  training.caption_dropout = 0.5;
  training.seed = 4;
  const auto validation = validation_objective(training);
  EXPECT_NE(validation.seed, training.seed);
  EXPECT_EQ(validation.seed, validation_objective(training).seed);
  Fixture f;
  f.inputs.latents = f.b.input("moments", {DType::F32, {16, 48}});
  f.inputs.moments = true;
  (void)f.build(validation);
  EXPECT_EQ(f.all<ir::RandomNormal>().size(), 1U);
  EXPECT_TRUE(f.all<ir::MulAdd>().empty());
  EXPECT_TRUE(f.all<ir::DropCaption>().empty());
  EXPECT_EQ(f.all<ir::RandomTimesteps>()[0]->seed, validation.seed);
}

TEST(TrainingLoss, RefusesContradictions) {
  const auto refused = [](auto&& change) {
    Fixture f;
    Objective objective;
    change(objective, f);
    try {
      (void)f.build(objective);
    } catch (const Error& error) {
      return error.code() == Exit::BadConfig;
    }
    return false;
  };
  EXPECT_TRUE(refused([](Objective& o, Fixture&) { o.snr_gamma = -1; }));
  EXPECT_TRUE(refused([](Objective& o, Fixture&) { o.noise_offset = -1; }));
  EXPECT_TRUE(refused([](Objective& o, Fixture&) { o.caption_dropout = 1.5; }));
  EXPECT_TRUE(refused([](Objective& o, Fixture&) { o.schedule.rescale_betas_zero_snr = true; }));
  EXPECT_TRUE(refused([](Objective& o, Fixture& f) {
    o.caption_dropout = 0.1;
    f.inputs.empty = {};
  }));
  EXPECT_FALSE(refused([](Objective& o, Fixture&) { o.caption_dropout = 0.1; }));
}

TEST(GivenLoss, IsPlainAndDifferentiableInItsInputs) {
  Fixture f;
  const GivenInputs given{.sample = f.inputs.latents,
                          .timesteps = f.b.input("timesteps", {DType::I64, {2}}),
                          .context = f.inputs.context,
                          .text_embeds = {},
                          .time_ids = {}};
  const auto target = f.b.input("target", {DType::F32, {8, 48}});
  const auto loss = build_given_loss(f.b, given, target, kLatent, DType::BF16, f.model());
  EXPECT_EQ(f.graph.type(loss.prediction), (ir::Type{DType::BF16, kLatent}));
  const auto gradients =
      ir::differentiate(f.graph, loss.loss, f.b.fill(1, ir::Type{DType::F32, {1}}), std::vector{given.sample});
  ASSERT_TRUE(gradients[0]);
  EXPECT_EQ(f.graph.type(gradients[0]), (ir::Type{DType::F32, {8, 48}}));
  EXPECT_TRUE(f.all<ir::RandomNormal>().empty());
}

}  // namespace
}  // namespace ldmpi::diffusion::test
