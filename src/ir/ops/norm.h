#pragma once
// Normalisations.

#include "ir/ops/rules.h"

namespace ldmpi::ir {

/// z = gamma[c] * (x - mean[n,g]) * rstd[n,g] + beta[c], g = the group of channel c; y = silu(z) if `silu`, else z.
/// Inputs: x [N,C,H,W], gamma [C], beta [C]. Outputs: y like x; mean, rstd f32 [N,groups], kept for the gradient.
struct GroupNorm {
  static constexpr std::string_view name = "group_norm";
  std::int64_t groups = 32;
  float epsilon = 1e-5F;
  bool silu = false;

  friend bool operator==(const GroupNorm&, const GroupNorm&) = default;
  void fields(auto&& field) const {
    field("groups", groups);
    field("epsilon", epsilon);
    field("silu", silu);
  }
};
Types infer(const GroupNorm&, TypesView inputs);
Values gradient(const GroupNorm&, GradientScope&);

/// Inputs: dy, x [N,C,H,W], gamma, beta [C], mean, rstd [N,groups]. Outputs: dx like x, dgamma [C], dbeta [C].
struct GroupNormGrad {
  static constexpr std::string_view name = "group_norm_grad";
  static constexpr bool differentiable = false;
  GroupNorm forward;

  friend bool operator==(const GroupNormGrad&, const GroupNormGrad&) = default;
  void fields(auto&& field) const { forward.fields(field); }
};
Types infer(const GroupNormGrad&, TypesView inputs);

/// y = gamma * (x - mean) * rstd + beta over the columns of each row.
/// Inputs: x [rows,C], gamma [C], beta [C]. Outputs: y like x; mean, rstd f32 [rows].
struct LayerNorm {
  static constexpr std::string_view name = "layer_norm";
  float epsilon = 1e-5F;

  friend bool operator==(const LayerNorm&, const LayerNorm&) = default;
  void fields(auto&& field) const { field("epsilon", epsilon); }
};
Types infer(const LayerNorm&, TypesView inputs);
Values gradient(const LayerNorm&, GradientScope&);

/// Inputs: dy, x [rows,C], gamma [C], mean, rstd [rows]. Outputs: dx, dgamma [C], dbeta [C].
struct LayerNormGrad {
  static constexpr std::string_view name = "layer_norm_grad";
  static constexpr bool differentiable = false;
  LayerNorm forward;

  friend bool operator==(const LayerNormGrad&, const LayerNormGrad&) = default;
  void fields(auto&& field) const { forward.fields(field); }
};
Types infer(const LayerNormGrad&, TypesView inputs);

}  // namespace ldmpi::ir
