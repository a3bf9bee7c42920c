#include "run_node.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "backend/cpu/weight_layout.h"

namespace ldmpi::test {

std::vector<float> random_floats(std::int64_t count, std::uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (auto& value : values) value = static_cast<float>(static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0);
  return values;
}

ir::Type matrix(std::int64_t rows, std::int64_t columns, std::int64_t pitch) {
  return {DType::F32, Shape{rows, columns}, pitch};
}
ir::Type image(const Shape& shape, std::int64_t pitch) {
  return {DType::F32, shape, pitch};
}
ir::Type weight(const Shape& shape) {
  return {DType::F32, shape, 0, ir::Layout::Parameter};
}

std::int64_t stored_elements(const ir::Type& type) {
  return type.layout == ir::Layout::Parameter ? backend::cpu::weight_layout_of(type.shape).elements
                                              : type.rows() * type.row_pitch();
}

Prepared prepare(const ir::Op& op, const backend::NodeTypes& types) {
  backend::NodeTypes dense = types;
  for (auto& type : dense.inputs) type.pitch = 0;
  for (auto& type : dense.outputs) type.pitch = 0;
  return {backend::make_cpu_kernel(op, types), backend::cpu_answer(op, dense).workspace_bytes};
}

std::vector<float> run_node(const ir::Op& op, const backend::NodeTypes& types,
                            const std::vector<std::vector<float>>& inputs) {
  const auto [kernel, bytes] = prepare(op, types);
  constexpr std::size_t kGuard = 64;
  std::vector<float> memory(bytes / sizeof(float) + 2 * kGuard, std::numeric_limits<float>::quiet_NaN());
  void* workspace = memory.data();
  std::size_t space = memory.size() * sizeof(float);
  workspace = std::align(64, bytes, workspace, space);
  auto* guard = static_cast<float*>(workspace) + bytes / sizeof(float);
  std::fill_n(guard, 16, kUntouched);
  std::vector<float> output(static_cast<std::size_t>(stored_elements(types.outputs[0])), kUntouched);
  std::vector<const void*> in;
  for (const auto& input : inputs) in.push_back(input.data());
  void* out = output.data();
  kernel->run({.inputs = in, .outputs = {&out, 1}, .workspace = workspace});
  for (int i = 0; i < 16; ++i) EXPECT_EQ(guard[i], kUntouched) << "behind the workspace of " << kernel->choice();
  return output;
}

}  // namespace ldmpi::test
