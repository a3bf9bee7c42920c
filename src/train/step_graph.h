#pragma once
// The programs of a run as graphs: the training step with everything in it, evaluation, prediction and probing.

#include <functional>
#include <set>
#include <string_view>
#include <vector>

#include "diffusion/objective.h"
#include "plan/storage.h"

namespace ldmpi::train {

/// Names of inputs and outputs. Inputs: draws i64 [N]; latents, context, empty, pooled, empty_pooled, time_ids f32; lr
/// f32 [1]; control f64 [4]. Outputs: loss f32 [1], the sum over ranks and micro-batches; control, summed over the
/// ranks; metrics f64 [4] (ir::UpdateState). Of predictions: prediction f32 [N*C, H*W].
namespace label {
inline constexpr std::string_view kDraws = "draws", kLatents = "latents", kContext = "context", kEmpty = "empty",
                                  kPooled = "pooled", kEmptyPooled = "empty_pooled", kTimeIds = "time_ids", kLr = "lr",
                                  kControl = "control", kLoss = "loss", kMetrics = "metrics", kSample = "sample",
                                  kTimesteps = "timesteps", kTarget = "target", kPrediction = "prediction";
}  // namespace label

inline constexpr int kControlWords = 4;

/// What the optimizer part of a step does.
struct UpdateSpec {
  float beta1 = 0.9F;
  float beta2 = 0.999F;
  float epsilon = 1e-8F;
  float weight_decay = 0.01F;
  float max_grad_norm = 1;  ///< 0: no clipping
  bool ema = false;
  float ema_decay = 0.9999F;
  bool ema_warmup = true;
  bool dynamic_loss_scale = false;  ///< fp16
};

/// What all programs of a run have in common. The pointers are not owned.
struct StepSpec {
  const nn::UnetConfig* unet = nullptr;
  const nn::ParameterTable* table = nullptr;
  const plan::ParameterStorage* storage = nullptr;
  DType compute = DType::F32;
  UpdateSpec update;
  int rank = 0;
  int ranks = 1;
  int accumulation = 1;

  /// Gradients are summed in fp32 over micro-batches, else kept as they come.
  [[nodiscard]] DType gradient_type() const { return accumulation > 1 ? DType::F32 : compute; }
};

/// Shapes of one micro-batch.
struct BatchSpec {
  Shape latent;  ///< [N,C,H,W]
  std::int64_t tokens = 77;
  std::int64_t context_width = 768;
  bool moments = false;
};

/// Step: the whole update in one program. With accumulation: First overwrites the gradients, Middle adds, Last adds,
/// reduces and updates.
enum class Role : std::uint8_t { Step, First, Middle, Last };
[[nodiscard]] std::string_view name_of(Role role) noexcept;

/// Writes inputs and forward pass, returns the loss f32 [1].
using LossBuilder = std::function<ir::Value(const ir::Builder&, const nn::ParameterValues&)>;

/// The loss of diffusion training on a batch of this shape.
[[nodiscard]] LossBuilder training_loss(const StepSpec& spec, const BatchSpec& batch,
                                        const diffusion::Objective& objective);

/// The plain loss against a given target; inputs as build_probe.
[[nodiscard]] LossBuilder given_loss(const StepSpec& spec, const BatchSpec& batch);

/// Everything of a role as one graph, with all passes done but recomputation's choice: `recompute` holds the forward
/// nodes to compute again (indices into differentiated_step()).
[[nodiscard]] ir::Graph build_step(const StepSpec& spec, Role role, const LossBuilder& loss,
                                   const std::set<int>& recompute = {});

/// Forward and backward only: the graph in which recomputation is chosen.
[[nodiscard]] ir::Graph differentiated_step(const StepSpec& spec, Role role, const LossBuilder& loss);

/// Forward pass and loss of a fixed batch: output loss.
[[nodiscard]] ir::Graph build_evaluation(const StepSpec& spec, const LossBuilder& loss);

/// Inputs sample, timesteps (f32), context, pooled, time_ids; output prediction.
[[nodiscard]] ir::Graph build_prediction(const StepSpec& spec, const BatchSpec& batch);

/// Inputs as build_prediction and target; outputs prediction, loss, "input_grad.sample", "input_grad.context",
/// "input_grad.pooled"; gradients of all parameters in the gradient arena.
[[nodiscard]] ir::Graph build_probe(const StepSpec& spec, const BatchSpec& batch);

}  // namespace ldmpi::train
