#include "ir/ops/collective.h"

namespace ldmpi::ir {
std::string_view name_of(CollectiveKind kind) noexcept {
  switch (kind) {
    case CollectiveKind::AllReduce: return "all_reduce";
    case CollectiveKind::ReduceScatter: return "reduce_scatter";
    case CollectiveKind::AllGather: return "all_gather";
  }
  return "?";
}

Types infer(const StartCollective& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1U << 20);
  expect(op.begin >= 0 && op.begin <= op.end && op.end <= inputs[0].count(), op.name, inputs, "a run inside the arena");
  return {token()};
}
Types infer(const WaitCollective& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1);
  return {token()};
}
Types infer(const SumRanks& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 1, 1U << 20);
  return {inputs[0]};
}
Types infer(const Mark& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 0, 0);
  return {};
}

}  // namespace ldmpi::ir
