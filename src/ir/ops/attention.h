#pragma once
// Scaled dot-product attention without a stored score matrix.

#include "ir/ops/rules.h"

namespace ldmpi::ir {

/// Per sample b and head h (columns h*d .. h*d+d-1, d = C/heads): o = softmax(scale * q k^T) v, scale = 1/sqrt(d).
/// Inputs: q [batch*Tq, C], k [batch*Tk, C], v [batch*Tk, C]; each may have its own pitch.
/// Outputs: o [batch*Tq, C]; lse f32 [batch*heads, Tq], the log of the sum of exponentials of the scaled scores.
struct Attention {
  static constexpr std::string_view name = "attention";
  std::int64_t batch = 1;
  std::int64_t heads = 1;

  friend bool operator==(const Attention&, const Attention&) = default;
  void fields(auto&& field) const {
    field("batch", batch);
    field("heads", heads);
  }
};
Types infer(const Attention&, TypesView inputs);
Values gradient(const Attention&, GradientScope&);

/// Inputs: do, q, k, v, o, lse. Outputs: dq, dk, dv.
struct AttentionGrad {
  static constexpr std::string_view name = "attention_grad";
  static constexpr bool differentiable = false;
  Attention forward;

  friend bool operator==(const AttentionGrad&, const AttentionGrad&) = default;
  void fields(auto&& field) const { forward.fields(field); }
};
Types infer(const AttentionGrad&, TypesView inputs);

}  // namespace ldmpi::ir
