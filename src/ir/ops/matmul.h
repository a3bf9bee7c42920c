#pragma once
// Matrix products.

#include "ir/ops/rules.h"

namespace ldmpi::ir {

/// y = op(a) * op(b) (+ bias on every row), op = transpose where asked.
/// Inputs: a [M,K] (or [K,M]), b [K,N] (or [N,K]), optional bias [N]. Images count as their rows: [N*H*W, C].
/// Output: [M,N].
struct MatMul {
  static constexpr std::string_view name = "matmul";
  bool transpose_a = false;
  bool transpose_b = false;

  friend bool operator==(const MatMul&, const MatMul&) = default;
  void fields(auto&& field) const {
    field("transpose_a", transpose_a);
    field("transpose_b", transpose_b);
  }
};
Types infer(const MatMul&, TypesView inputs);
Values gradient(const MatMul&, GradientScope&);

}  // namespace ldmpi::ir
