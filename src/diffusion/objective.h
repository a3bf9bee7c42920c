#pragma once
// The training graph around the U-Net: noising, the target, caption dropout, the loss.

#include <cstdint>
#include <functional>

#include "diffusion/noise_schedule.h"
#include "nn/unet.h"

namespace ldmpi::diffusion {

/// What is learnt and how it is weighted.
struct Objective {
  ScheduleConfig schedule;
  double snr_gamma = 0;        ///< min-SNR weighting; 0: every timestep weighs 1
  double noise_offset = 0;     ///< adds noise_offset * N(0,1) per sample and channel to the noise; 0: off
  double caption_dropout = 0;  ///< probability that a sample's text is replaced by the empty prompt
  bool posterior = true;       ///< of latents stored as moments: x0 = mean + deviation * N(0,1), else the mean
  std::uint64_t seed = 0;      ///< of timesteps, noise, dropout and posterior
};

/// The same objective for a loss that can be compared over time: no caption dropout, posterior means, no weights, and
/// random numbers apart from the training's. With draws 0, 1, 2, ... every validation sees the same triples of sample,
/// timestep and noise at any rank count.
[[nodiscard]] Objective validation_objective(const Objective& training);

/// Values the host provides; those of a text_time model only where it is one.
struct TrainInputs {
  ir::Value draws;         ///< i64 [N]
  ir::Value latents;       ///< f32 [N*C, H*W] in canonical order, scaled; [N*2C, H*W] with `moments`
  ir::Value context;       ///< f32 [N*T, D]
  ir::Value empty;         ///< f32 [T, D], the empty prompt; needed with caption dropout
  ir::Value pooled;        ///< f32 [N, P]
  ir::Value empty_pooled;  ///< f32 [1, P]; needed with caption dropout
  ir::Value time_ids;      ///< f32 [N, 6]
  bool moments = false;    ///< the latents hold [mean | deviation] along the channels
};

/// Writes the model's forward pass and returns its prediction, [N,C,H,W].
using Model = std::function<ir::Value(const ir::Builder&, const nn::UnetInputs&)>;

struct TrainingLoss {
  ir::Value loss;        ///< f32 [1]
  ir::Value prediction;  ///< [N,C,H,W] of the compute dtype
  ir::Value target;      ///< f32 [N,C,H,W]
  ir::Value timesteps;   ///< i64 [N]
  ir::Value noise;       ///< f32 [N,C,H,W], offset noise included
  ir::Value noisy;       ///< [N,C,H,W] of the compute dtype: what the model sees
  ir::Value weights;     ///< f32 [N]
};

/// Appends the forward pass of one micro-batch. `latent` is [N,C,H,W] (C without the deviations). `dtype` is the
/// compute dtype. Throws Error(BadConfig) for an objective without sense or without the inputs it needs.
[[nodiscard]] TrainingLoss build_training_loss(const ir::Builder& b, const Objective& objective,
                                               const TrainInputs& inputs, const Shape& latent, DType dtype,
                                               const Model& model);

/// Inputs of a pass with given noise: sampling, probing.
struct GivenInputs {
  ir::Value sample;       ///< f32 [N*C, H*W] in canonical order
  ir::Value timesteps;    ///< i64 or f32 [N]
  ir::Value context;      ///< f32 [N*T, D]
  ir::Value text_embeds;  ///< f32 [N, P]
  ir::Value time_ids;     ///< f32 [N, 6]
};

/// The prediction, [N,C,H,W] of the compute dtype, with nothing drawn. `latent` is the shape of the sample.
[[nodiscard]] ir::Value build_prediction(const ir::Builder& b, const GivenInputs& inputs, const Shape& latent,
                                         DType dtype, const Model& model);

struct GivenLoss {
  ir::Value loss;        ///< f32 [1]: mean squared error over all elements
  ir::Value prediction;  ///< [N,C,H,W] of the compute dtype
};

/// Prediction and plain loss against a given target, f32 [N*out, H*W] in canonical order.
[[nodiscard]] GivenLoss build_given_loss(const ir::Builder& b, const GivenInputs& inputs, ir::Value target,
                                         const Shape& latent, DType dtype, const Model& model);

}  // namespace ldmpi::diffusion
