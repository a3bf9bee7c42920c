#include "ir/ops/attention.h"

#include "ir/differentiate.h"

namespace ldmpi::ir {

Types infer(const Attention& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 3, 3);
  const auto& q = inputs[0];
  const auto& k = inputs[1];
  expect(q.shape.rank() == 2 && k.shape.rank() == 2 && k.shape == inputs[2].shape && q.columns() == k.columns() &&
             q.columns() % op.heads == 0 && q.rows() % op.batch == 0 && k.rows() % op.batch == 0,
         op.name, inputs, "q [batch*Tq,C], k and v [batch*Tk,C], C divisible by the heads");
  return {Type{q.dtype, q.shape}, Type{DType::F32, {op.batch * op.heads, q.rows() / op.batch}}};
}
Values gradient(const Attention& op, GradientScope& s) {
  return s.build.graph().add(AttentionGrad{op},
                             {s.adjoint(), s.inputs[0], s.inputs[1], s.inputs[2], s.outputs[0], s.outputs[1]});
}
Types infer(const AttentionGrad& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 6, 6);
  expect(inputs[0].shape == inputs[1].shape && inputs[4].shape == inputs[1].shape, op.name, inputs, "do and o like q");
  return {inputs[1], inputs[2], inputs[3]};
}

}  // namespace ldmpi::ir
