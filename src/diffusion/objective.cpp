#include "diffusion/objective.h"

#include "base/check.h"
#include "base/rng.h"

namespace ldmpi::diffusion {

namespace {

void check(const Objective& objective, const TrainInputs& inputs) {
  require(objective.snr_gamma >= 0, Exit::BadConfig, "snr_gamma must not be negative: {}", objective.snr_gamma);
  require(objective.noise_offset >= 0, Exit::BadConfig, "noise_offset must not be negative: {}",
          objective.noise_offset);
  require(objective.caption_dropout >= 0 && objective.caption_dropout <= 1, Exit::BadConfig,
          "caption_dropout is a probability, not {}", objective.caption_dropout);
  require(objective.caption_dropout == 0 || (inputs.empty && (!inputs.pooled || inputs.empty_pooled)), Exit::BadConfig,
          "caption_dropout = {} needs the embeddings of the empty prompt (row 0 of the shards' tables); "
          "set it to 0 for data without",
          objective.caption_dropout);
}

/// The clean latents, f32 [N,C,H,W].
ir::Value clean_latents(const ir::Builder& b, const Objective& objective, const TrainInputs& inputs,
                        const Shape& latent) {
  auto& graph = b.graph();
  if (!inputs.moments) return graph.add1(ir::FromCanonical{.shape = latent, .dtype = DType::F32}, {inputs.latents});
  const auto channels = latent[1];
  const Shape both{latent[0], 2 * channels, latent[2], latent[3]};
  const auto stored =
      graph.add1(ir::FromCanonical{.shape = both, .dtype = DType::F32}, {inputs.latents});  // [N,2C,H,W]
  const auto moments = b.split(stored, {channels, channels});                               // mean, deviation [N,C,H,W]
  if (!objective.posterior) return moments[0];
  const auto drawn = graph.add1(
      ir::RandomNormal{.seed = objective.seed, .purpose = Purpose::Posterior, .shape = latent}, {inputs.draws});
  return graph.add1(ir::MulAdd{}, {moments[0], moments[1], drawn});
}

/// Standard normal noise, with the offset per sample and channel where asked: f32 [N,C,H,W].
ir::Value draw_noise(const ir::Builder& b, const Objective& objective, ir::Value draws, const Shape& latent) {
  auto& graph = b.graph();
  const auto noise =
      graph.add1(ir::RandomNormal{.seed = objective.seed, .purpose = Purpose::Noise, .shape = latent}, {draws});
  if (objective.noise_offset == 0) return noise;
  const ir::RandomNormal per_channel{
      .seed = objective.seed, .purpose = Purpose::OffsetNoise, .shape = {latent[0], latent[1]}};
  const auto offset = b.scale(graph.add1(per_channel, {draws}), static_cast<float>(objective.noise_offset));  // [N,C]
  return b.add_channels(noise, offset);
}

/// Text in the compute dtype, replaced by the empty prompt for the samples that drop their caption.
ir::Value drop_text(const ir::Builder& b, const Objective& objective, ir::Value draws, ir::Value text, ir::Value empty,
                    DType dtype) {
  if (!text || objective.caption_dropout == 0) return text ? b.cast(text, dtype) : text;
  const ir::DropCaption drop{
      .seed = objective.seed, .probability = static_cast<float>(objective.caption_dropout), .dtype = dtype};
  return b.graph().add1(drop, {draws, text, empty});
}

ir::Value lookup(const ir::Builder& b, const char* label, std::vector<float> table, ir::Value timesteps) {
  return b.graph().add1(ir::Lookup{}, {b.constant(label, std::move(table)), timesteps});  // [N]
}

ir::Value ones(const ir::Builder& b, std::int64_t batch) {
  return b.fill(1, ir::Type{.dtype = DType::F32, .shape = {batch}});
}

}  // namespace

Objective validation_objective(const Objective& training) {
  Objective result = training;
  result.snr_gamma = 0;
  result.noise_offset = 0;
  result.caption_dropout = 0;
  result.posterior = false;
  const Draw draw{training.seed, Purpose::Validation, 0};
  result.seed = (std::uint64_t{draw.bits(1)} << 32) | draw.bits(0);
  return result;
}

TrainingLoss build_training_loss(const ir::Builder& b, const Objective& objective, const TrainInputs& inputs,
                                 const Shape& latent, DType dtype, const Model& model) {
  check(objective, inputs);
  auto& graph = b.graph();
  const auto schedule = make_noise_schedule(objective.schedule);
  const auto prediction_type = objective.schedule.prediction_type;
  TrainingLoss result;
  result.timesteps = graph.add1(
      ir::RandomTimesteps{.seed = objective.seed, .steps = objective.schedule.num_train_timesteps}, {inputs.draws});
  result.noise = draw_noise(b, objective, inputs.draws, latent);
  const auto clean = clean_latents(b, objective, inputs, latent);
  const auto signal = lookup(b, "sqrt_abar", schedule.sqrt_abar, result.timesteps);
  const auto spread = lookup(b, "sqrt_one_minus_abar", schedule.sqrt_one_minus_abar, result.timesteps);
  result.noisy = graph.add1(ir::Blend{.dtype = dtype}, {signal, clean, spread, result.noise});

  switch (prediction_type) {
    case Prediction::Epsilon: result.target = result.noise; break;
    case Prediction::Sample: result.target = clean; break;
    case Prediction::Velocity:
      result.target = graph.add1(ir::Blend{.dtype = DType::F32}, {signal, result.noise, b.scale(spread, -1), clean});
      break;
  }
  result.weights = objective.snr_gamma == 0
                       ? ones(b, latent[0])
                       : lookup(b, "min_snr_weights", min_snr_weights(schedule, prediction_type, objective.snr_gamma),
                                result.timesteps);
  result.prediction =
      model(b, {.sample = result.noisy,
                .timesteps = result.timesteps,
                .context = drop_text(b, objective, inputs.draws, inputs.context, inputs.empty, dtype),
                .text_embeds = drop_text(b, objective, inputs.draws, inputs.pooled, inputs.empty_pooled, dtype),
                .time_ids = inputs.time_ids});
  require(b.type(result.prediction).shape == latent, Exit::BadConfig,
          "the model predicts {} for latents {}: out_channels must equal the channels of the data",
          b.type(result.prediction).shape.text(), latent.text());
  result.loss = graph.add1(ir::WeightedMse{}, {result.prediction, result.target, result.weights});
  return result;
}

ir::Value build_prediction(const ir::Builder& b, const GivenInputs& inputs, const Shape& latent, DType dtype,
                           const Model& model) {
  return model(b, {.sample = b.graph().add1(ir::FromCanonical{.shape = latent, .dtype = dtype}, {inputs.sample}),
                   .timesteps = inputs.timesteps,
                   .context = b.cast(inputs.context, dtype),
                   .text_embeds = inputs.text_embeds ? b.cast(inputs.text_embeds, dtype) : inputs.text_embeds,
                   .time_ids = inputs.time_ids});
}

GivenLoss build_given_loss(const ir::Builder& b, const GivenInputs& inputs, ir::Value target, const Shape& latent,
                           DType dtype, const Model& model) {
  const auto prediction = build_prediction(b, inputs, latent, dtype, model);
  const Shape shape = b.type(prediction).shape;
  require(b.type(target).count() == shape.count(), Exit::BadConfig, "the target has {} elements, the prediction is {}",
          b.type(target).count(), shape.text());
  const auto image = b.graph().add1(ir::FromCanonical{.shape = shape, .dtype = DType::F32}, {target});
  return {.loss = b.graph().add1(ir::WeightedMse{}, {prediction, image, ones(b, latent[0])}), .prediction = prediction};
}

}  // namespace ldmpi::diffusion
