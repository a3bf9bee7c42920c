#include "ir/ops/pointwise.h"

#include "ir/differentiate.h"

namespace ldmpi::ir {

std::string_view name_of(UnaryFn fn) noexcept {
  return fn == UnaryFn::Silu ? "silu" : "gelu";
}

Types infer(const Unary& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  return {inputs[0]};
}
Values gradient(const Unary& op, GradientScope& s) {
  return {s.build.graph().add1(UnaryGrad{op.fn}, {s.adjoint(), s.inputs[0]})};
}

Types infer(const UnaryGrad& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 2, 2);
  expect(inputs[0] == inputs[1], op.name, inputs, "two equal types");
  return {inputs[0]};
}

Types infer(const Add& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 2, 2);
  expect(inputs[0] == inputs[1], op.name, inputs, "two equal types");
  return {inputs[0]};
}
Values gradient(const Add&, GradientScope& s) {
  return {s.adjoint(), s.adjoint()};
}

Types infer(const Scale& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  return {inputs[0]};
}
Values gradient(const Scale& op, GradientScope& s) {
  return {s.build.scale(s.adjoint(), op.factor)};
}

Types infer(const Cast& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  return {Type{op.dtype, inputs[0].shape, 0, inputs[0].layout}};
}
Values gradient(const Cast&, GradientScope& s) {
  return {s.build.cast(s.adjoint(), s.type(s.inputs[0]).dtype)};
}

Types infer(const Geglu& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  expect(inputs[0].shape.rank() == 2 && inputs[0].columns() % 2 == 0, op.name, inputs, "x [rows, 2F]");
  return {Type{inputs[0].dtype, {inputs[0].rows(), inputs[0].columns() / 2}}};
}
Values gradient(const Geglu&, GradientScope& s) {
  return {s.build.graph().add1(GegluGrad{}, {s.adjoint(), s.inputs[0]})};
}

Types infer(const GegluGrad& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 2, 2);
  expect(inputs[0].columns() * 2 == inputs[1].columns(), op.name, inputs, "dy [rows, F], x [rows, 2F]");
  return {inputs[1]};
}

Types infer(const AddChannels& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 2, 2);
  expect(inputs[0].shape.rank() == 4 && inputs[1].shape == Shape{inputs[0].shape[0], inputs[0].shape[1]}, op.name,
         inputs, "x [N,C,H,W], t [N,C]");
  return {inputs[0]};
}
Values gradient(const AddChannels&, GradientScope& s) {
  return {s.adjoint(), s.needs(1) ? s.build.graph().add1(SumPixels{}, {s.adjoint()}) : Value{}};
}

Types infer(const SumPixels& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  expect(inputs[0].shape.rank() == 4, op.name, inputs, "x [N,C,H,W]");
  return {Type{inputs[0].dtype, {inputs[0].shape[0], inputs[0].shape[1]}}};
}

Types infer(const SumRows& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  return {Type{inputs[0].dtype, {inputs[0].columns()}}};
}

}  // namespace ldmpi::ir
