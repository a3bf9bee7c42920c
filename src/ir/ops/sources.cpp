#include "ir/ops/sources.h"

namespace ldmpi::ir {

Types infer(const Input& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 0, 0);
  return {op.type};
}
Types infer(const Persistent& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 0, 0);
  return {op.type};
}
Types infer(const Constant& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 0, 0);
  return {Type{DType::F32, Shape{static_cast<std::int64_t>(op.data->size())}}};
}
Types infer(const Fill& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 0, 0);
  return {op.type};
}

}  // namespace ldmpi::ir
