// y = value * gelu(gate) over rows [value | gate], and its gradient.

#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/vector_math.h"

namespace ldmpi::backend::cpu {

NodeAnswer answer(const ir::Geglu&, const NodeTypes&) {
  return {.pitched_inputs = true, .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::Geglu& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return own_kernel([rows = types.outputs[0].rows(), width = types.outputs[0].columns(),
                     x_pitch = types.inputs[0].row_pitch(),
                     y_pitch = types.outputs[0].row_pitch()](const KernelArgs& args) {
    parallel_for(rows, rows * width * 4, [&](std::int64_t row) {
      const float* value = args.in<float>(0) + row * x_pitch;
      const float* gate = value + width;
      float* y = args.out<float>(0) + row * y_pitch;
#pragma omp simd
      for (std::int64_t i = 0; i < width; ++i) y[i] = value[i] * gelu(gate[i]);
    });
  });
}

NodeAnswer answer(const ir::GegluGrad&, const NodeTypes&) {
  return {.pitched_inputs = true, .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::GegluGrad& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return own_kernel([rows = types.inputs[0].rows(), width = types.inputs[0].columns(),
                     dy_pitch = types.inputs[0].row_pitch(), x_pitch = types.inputs[1].row_pitch(),
                     dx_pitch = types.outputs[0].row_pitch()](const KernelArgs& args) {
    parallel_for(rows, rows * width * 4, [&](std::int64_t row) {
      const float* dy = args.in<float>(0) + row * dy_pitch;
      const float* value = args.in<float>(1) + row * x_pitch;
      const float* gate = value + width;
      float* dvalue = args.out<float>(0) + row * dx_pitch;
      float* dgate = dvalue + width;
#pragma omp simd
      for (std::int64_t i = 0; i < width; ++i) {
        const Normal n = normal_at(gate[i]);
        dvalue[i] = dy[i] * gate[i] * n.cdf;
        dgate[i] = dy[i] * value[i] * (n.cdf + gate[i] * n.density);
      }
    });
  });
}

}  // namespace ldmpi::backend::cpu
