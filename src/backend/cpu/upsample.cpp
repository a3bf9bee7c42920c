// Nearest-neighbour resize, any element type, and its gradient.

#include <cstring>

#include "backend/cpu/element.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"

namespace ldmpi::backend::cpu {

NodeAnswer answer(const ir::Upsample&, const NodeTypes&) {
  return {.pitched_inputs = true, .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::Upsample&, const NodeTypes& types) {
  const ir::Type& x = types.inputs[0];
  const ir::Type& y = types.outputs[0];
  return own_kernel([x, y](const KernelArgs& args) {
    const std::int64_t height = y.shape[2];
    const std::int64_t width = y.shape[3];
    const auto bytes = static_cast<std::size_t>(x.columns()) * size_of(x.dtype);
    parallel_for(y.shape[0] * height, y.count(), [&](std::int64_t line) {
      const std::int64_t i = line % height * x.shape[2] / height;
      const std::int64_t source_row = (line / height * x.shape[2] + i) * x.shape[3];
      for (std::int64_t j = 0; j < width; ++j) {
        const std::int64_t pixel = source_row + j * x.shape[3] / width;
        std::memcpy(element(args.outputs[0], y.dtype, (line * width + j) * y.row_pitch()),
                    element(args.inputs[0], x.dtype, pixel * x.row_pitch()), bytes);
      }
    });
  });
}

NodeAnswer answer(const ir::UpsampleGrad&, const NodeTypes&) {
  return {.pitched_inputs = true, .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::UpsampleGrad& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  const ir::Type& dy = types.inputs[0];
  const ir::Type& dx = types.outputs[0];
  return own_kernel([dy, dx](const KernelArgs& args) {
    const std::int64_t channels = dx.columns();
    // Pixels i of `many` that read pixel p of `few` are [first(p), first(p + 1)).
    const auto first = [](std::int64_t p, std::int64_t many, std::int64_t few) { return ceil_div(p * many, few); };
    parallel_for(dx.rows(), dy.count(), [&](std::int64_t pixel) {
      const std::int64_t w = pixel % dx.shape[3];
      const std::int64_t h = pixel / dx.shape[3] % dx.shape[2];
      const std::int64_t n = pixel / (dx.shape[3] * dx.shape[2]);
      float* sum = args.out<float>(0) + pixel * dx.row_pitch();
      std::fill_n(sum, channels, 0.0F);
      for (std::int64_t i = first(h, dy.shape[2], dx.shape[2]); i < first(h + 1, dy.shape[2], dx.shape[2]); ++i) {
        for (std::int64_t j = first(w, dy.shape[3], dx.shape[3]); j < first(w + 1, dy.shape[3], dx.shape[3]); ++j) {
          const float* from = args.in<float>(0) + ((n * dy.shape[2] + i) * dy.shape[3] + j) * dy.row_pitch();
#pragma omp simd
          for (std::int64_t c = 0; c < channels; ++c) sum[c] += from[c];
        }
      }
    });
  });
}

}  // namespace ldmpi::backend::cpu
