// Matrix products of the graph, on rows of any pitch. Own kernel: oneDNN's takes packing buffers from the heap in every
// call (a megabyte and more, mapped anew), which a step must not do; the speeds are equal (tests/bench).

#include "backend/cpu/gemm.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"

namespace ldmpi::backend::cpu {

namespace {

Gemm gemm_of(const ir::MatMul& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  const ir::Type& a = types.inputs.at(0);
  const ir::Type& b = types.inputs.at(1);
  const ir::Type& c = types.outputs.at(0);
  return {.rows = c.rows(),
          .columns = c.columns(),
          .inner = op.transpose_a ? a.rows() : a.columns(),
          .a = {.pitch = a.row_pitch(), .transposed = op.transpose_a},
          .b = {.pitch = b.row_pitch(), .transposed = op.transpose_b},
          .c_pitch = c.row_pitch()};
}

}  // namespace

NodeAnswer answer(const ir::MatMul& op, const NodeTypes& types) {
  return {
      .workspace_bytes = gemm_of(op, types).scratch_bytes(threads()), .pitched_inputs = true, .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::MatMul& op, const NodeTypes& types) {
  const bool bias = types.inputs.size() > 2;
  return own_kernel([gemm = gemm_of(op, types), bias, team = threads()](const KernelArgs& args) {
    gemm.run(static_cast<const float*>(args.inputs[0]), static_cast<const float*>(args.inputs[1]),
             bias ? static_cast<const float*>(args.inputs[2]) : nullptr, static_cast<float*>(args.outputs[0]),
             args.workspace, team);
  });
}

}  // namespace ldmpi::backend::cpu
