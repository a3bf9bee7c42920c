#include "ir/ops/optimizer.h"

namespace ldmpi::ir {
Types infer(const Accumulate& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 2, 2);
  expect(inputs[0].dtype == DType::F32 && inputs[0].count() == inputs[1].count(), op.name, inputs,
         "an f32 accumulator and as many elements");
  return {token()};
}
Types infer(const SumSquares& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1U << 20);
  return {Type{DType::F64, {1}}};
}
Types infer(const AdamW& op, TypesView inputs) {
  const auto count = 7 + std::size_t{op.has_weights} + std::size_t{op.has_ema};
  expect_inputs(op.name, inputs, count, count);
  expect(inputs[1].dtype == DType::F64 && inputs[2].shape == Shape{kStateSlots}, op.name, inputs,
         "lr, sum of squares, state, gradients, master, moments");
  return {token()};
}
Types infer(const UpdateState& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 2, 1U << 20);
  expect(inputs[0].dtype == DType::F64 && inputs[1].shape == Shape{kStateSlots}, op.name, inputs,
         "sum of squares f64 [1], state f64");
  return {Type{DType::F64, {4}}};
}
Types infer(const ReadState& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  return {Type{DType::F32, {1}}};
}

}  // namespace ldmpi::ir
