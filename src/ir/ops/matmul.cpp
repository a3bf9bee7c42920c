#include "ir/ops/matmul.h"

#include "ir/differentiate.h"

namespace ldmpi::ir {

Types infer(const MatMul& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 2, 3);
  const auto m = op.transpose_a ? inputs[0].columns() : inputs[0].rows();
  const auto k = op.transpose_a ? inputs[0].rows() : inputs[0].columns();
  const auto n = op.transpose_b ? inputs[1].rows() : inputs[1].columns();
  const auto l = op.transpose_b ? inputs[1].columns() : inputs[1].rows();
  expect(k == l && inputs[0].dtype == inputs[1].dtype, op.name, inputs, "a [M,K] and b [K,N] of one element type");
  if (inputs.size() == 3) expect(inputs[2].shape == Shape{n}, op.name, inputs, "bias [N]");
  return {Type{inputs[0].dtype, {m, n}}};
}

// With A = op(a), B = op(b): dA = dY B^T, dB = A^T dY, transposed back where a or b were stored transposed.
Values gradient(const MatMul& op, GradientScope& s) {
  const auto a = s.inputs[0];
  const auto b = s.inputs[1];
  const auto dy = s.adjoint();
  auto shaped = [&](Value gradient, Value like) { return s.build.reshape(gradient, s.type(like).shape); };
  Values result(s.inputs.size());
  if (s.needs(0))
    result[0] = shaped(
        op.transpose_a ? s.build.matmul(b, dy, op.transpose_b, true) : s.build.matmul(dy, b, false, !op.transpose_b),
        a);
  if (s.needs(1))
    result[1] = shaped(
        op.transpose_b ? s.build.matmul(dy, a, true, op.transpose_a) : s.build.matmul(a, dy, !op.transpose_a, false),
        b);
  if (s.needs(2)) result[2] = s.build.sum_rows(dy);
  return result;
}

}  // namespace ldmpi::ir
