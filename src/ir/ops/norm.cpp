#include "ir/ops/norm.h"

#include "ir/differentiate.h"

namespace ldmpi::ir {

Types infer(const GroupNorm& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 3, 3);
  const auto& x = inputs[0];
  expect(x.shape.rank() == 4 && op.groups > 0 && x.columns() % op.groups == 0 &&
             inputs[1].shape == Shape{x.columns()} && inputs[2].shape == Shape{x.columns()},
         op.name, inputs, "x [N,C,H,W] with C divisible by the groups, gamma [C], beta [C]");
  const Type statistics{DType::F32, {x.shape[0], op.groups}};
  return {x, statistics, statistics};
}
Values gradient(const GroupNorm& op, GradientScope& s) {
  return s.build.graph().add(GroupNormGrad{op},
                             {s.adjoint(), s.inputs[0], s.inputs[1], s.inputs[2], s.outputs[1], s.outputs[2]});
}
Types infer(const GroupNormGrad& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 6, 6);
  expect(inputs[0] == inputs[1], op.name, inputs, "dy like x");
  return {inputs[1], inputs[2], inputs[3]};
}

Types infer(const LayerNorm& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 3, 3);
  const auto& x = inputs[0];
  expect(x.shape.rank() == 2 && inputs[1].shape == Shape{x.columns()} && inputs[2].shape == Shape{x.columns()}, op.name,
         inputs, "x [rows,C], gamma [C], beta [C]");
  const Type statistics{DType::F32, {x.rows()}};
  return {x, statistics, statistics};
}
Values gradient(const LayerNorm& op, GradientScope& s) {
  return s.build.graph().add(LayerNormGrad{op}, {s.adjoint(), s.inputs[0], s.inputs[1], s.outputs[1], s.outputs[2]});
}
Types infer(const LayerNormGrad& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 5, 5);
  expect(inputs[0] == inputs[1], op.name, inputs, "dy like x");
  return {inputs[1], inputs[2], inputs[2]};
}

}  // namespace ldmpi::ir
