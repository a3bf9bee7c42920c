#include "ir/ops/diffusion.h"

#include "ir/differentiate.h"

namespace ldmpi::ir {

Types infer(const RandomTimesteps& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  expect(inputs[0].dtype == DType::I64 && inputs[0].shape.rank() == 1, op.name, inputs, "draws i64 [N]");
  return {inputs[0]};
}
Types infer(const RandomNormal& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  expect(inputs[0].dtype == DType::I64 && inputs[0].count() == op.shape[0], op.name, inputs,
         "draws i64 [N], N of the shape");
  return {Type{DType::F32, op.shape}};
}
Types infer(const Lookup& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 2, 2);
  expect(inputs[1].dtype == DType::I64, op.name, inputs, "table f32 [T], t i64 [N]");
  return {Type{DType::F32, inputs[1].shape}};
}
Types infer(const Blend& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 4, 4);
  expect(inputs[1] == inputs[3] && inputs[1].dtype == DType::F32 && inputs[0].count() == inputs[1].shape[0] &&
             inputs[2].shape == inputs[0].shape,
         op.name, inputs, "a f32 [N], x f32 [N,...], b f32 [N], e like x");
  return {Type{op.dtype, inputs[1].shape}};
}
Types infer(const MulAdd& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 3, 3);
  expect(inputs[0] == inputs[1] && inputs[1] == inputs[2] && inputs[0].dtype == DType::F32, op.name, inputs,
         "three equal f32 types");
  return {inputs[0]};
}
Types infer(const DropCaption& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 3, 3);
  expect(inputs[0].dtype == DType::I64 && inputs[1].dtype == DType::F32 &&
             inputs[2].rows() * inputs[0].count() == inputs[1].rows() && inputs[2].columns() == inputs[1].columns(),
         op.name, inputs, "draws i64 [N], x f32 [N*T,D], empty f32 [T,D]");
  return {Type{op.dtype, inputs[1].shape}};
}
Types infer(const Sinusoid& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  expect((inputs[0].dtype == DType::I64 || inputs[0].dtype == DType::F32) && op.dim % 2 == 0, op.name, inputs,
         "t i64 or f32 [N] or [N,k] and an even dim");
  const auto& t = inputs[0].shape;
  return {Type{op.dtype, {t[0], (t.rank() == 2 ? t[1] : 1) * op.dim}}};
}
Types infer(const WeightedMse& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 3, 3);
  expect(inputs[0].shape == inputs[1].shape && inputs[1].dtype == DType::F32 && inputs[2].count() == inputs[0].shape[0],
         op.name, inputs, "prediction, f32 target of its shape, weight f32 [N]");
  return {Type{DType::F32, {1}}};
}
Values gradient(const WeightedMse&, GradientScope& s) {
  return {s.build.graph().add1(WeightedMseGrad{}, {s.adjoint(), s.inputs[0], s.inputs[1], s.inputs[2]})};
}
Types infer(const WeightedMseGrad& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 4, 4);
  return {inputs[1]};
}

}  // namespace ldmpi::ir
