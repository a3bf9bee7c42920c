#include "ir/ops/shape.h"

#include <numeric>

#include "ir/differentiate.h"

namespace ldmpi::ir {
namespace {

Shape with_columns(const Type& type, std::int64_t columns) {
  if (type.shape.rank() == 4) return {type.shape[0], columns, type.shape[2], type.shape[3]};
  if (type.shape.rank() == 2) return {type.shape[0], columns};
  return {columns};
}

}  // namespace

Types infer(const Reshape& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  const Type result{inputs[0].dtype, op.shape};
  expect(result.count() == inputs[0].count() && (result.columns() == inputs[0].columns() || inputs[0].dense()), op.name,
         inputs, "as many elements as the new shape");
  return {result};
}
Values gradient(const Reshape&, GradientScope& s) {
  return {s.build.reshape(s.adjoint(), s.type(s.inputs[0]).shape)};
}

Types infer(const Split& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  expect(std::accumulate(op.sizes.begin(), op.sizes.end(), std::int64_t{0}) == inputs[0].columns(), op.name, inputs,
         "sizes that sum to the columns");
  Types result;
  for (auto size : op.sizes) result.push_back({inputs[0].dtype, with_columns(inputs[0], size)});
  return result;
}
Values gradient(const Split&, GradientScope& s) {
  Values parts;
  for (std::size_t i = 0; i < s.outputs.size(); ++i)
    parts.push_back(s.adjoint(i) ? s.adjoint(i) : s.build.fill(0, s.type(s.outputs[i])));
  return {s.build.concat(std::move(parts))};
}

Types infer(const Concat& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1U << 20);
  std::int64_t columns = 0;
  for (const auto& input : inputs) {
    expect(input.rows() == inputs[0].rows() && input.shape.rank() == inputs[0].shape.rank() &&
               input.dtype == inputs[0].dtype,
           op.name, inputs, "equal rows and element types");
    columns += input.columns();
  }
  return {Type{inputs[0].dtype, with_columns(inputs[0], columns)}};
}
Values gradient(const Concat&, GradientScope& s) {
  std::vector<std::int64_t> sizes;
  for (auto input : s.inputs) sizes.push_back(s.type(input).columns());
  return s.build.split(s.adjoint(), std::move(sizes));
}

Types infer(const Upsample& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  const auto& x = inputs[0].shape;
  expect(x.rank() == 4 && op.height >= x[2] && op.width >= x[3], op.name, inputs, "x [N,C,H,W] not above the new size");
  return {Type{inputs[0].dtype, {x[0], x[1], op.height, op.width}}};
}
Values gradient(const Upsample&, GradientScope& s) {
  const auto& x = s.type(s.inputs[0]).shape;
  const UpsampleGrad grad{x[2], x[3]};
  return {s.build.graph().add1(grad, {s.adjoint()})};
}
Types infer(const UpsampleGrad& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  const auto& dy = inputs[0].shape;
  return {Type{inputs[0].dtype, {dy[0], dy[1], op.height, op.width}}};
}

Types infer(const FromCanonical& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  expect(op.shape.rank() == 4 && inputs[0].count() == op.shape.count() && inputs[0].dtype == DType::F32, op.name,
         inputs, "f32 with as many elements as the image");
  return {Type{op.dtype, op.shape}};
}
Values gradient(const FromCanonical&, GradientScope& s) {
  return {s.build.graph().add1(ToCanonical{}, {s.adjoint()})};
}

Types infer(const ToCanonical& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  const auto& x = inputs[0].shape;
  expect(x.rank() == 4, op.name, inputs, "x [N,C,H,W]");
  return {Type{DType::F32, {x[0] * x[1], x[2] * x[3]}}};
}

}  // namespace ldmpi::ir
