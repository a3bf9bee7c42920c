// Columns side by side. An input that the planner placed inside the output is left alone.

#include "backend/cuda/each.cuh"
#include "backend/cuda/kernels.h"

namespace ldmpi::backend::cuda {
namespace {

template <typename T>
struct CopyBody {
  static constexpr int kWidth = kWide<T>;
  const T* x;
  T* y;
  std::int64_t x_pitch;
  std::int64_t y_pitch;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    *reinterpret_cast<Pack<T, N>*>(y + row * y_pitch + column) =
        *reinterpret_cast<const Pack<T, N>*>(x + row * x_pitch + column);
  }
};

}  // namespace

KernelPtr make_kernel(const ir::Concat&, const NodeTypes& types, Site& site) {
  return with_float(types.outputs[0].dtype, [&]<typename T>(T) -> KernelPtr {
    return own_kernel([types, stream = site.stream()](const KernelArgs& args) {
      const ir::Type& y = types.outputs[0];
      T* target = args.out<T>(0);
      for (std::size_t i = 0; i < types.inputs.size(); target += types.inputs[i++].columns()) {
        const ir::Type& x = types.inputs[i];
        if (args.inputs[i] == target) continue;
        const std::int64_t step = y.row_pitch() * static_cast<std::int64_t>(sizeof(T));
        const bool wide = fits_wide(x, kWide<T>) && step % 16 == 0 && aligned({args.inputs[i], target});
        each(x.rows(), x.columns(), wide, stream, CopyBody<T>{args.in<T>(i), target, x.row_pitch(), y.row_pitch()});
      }
    });
  });
}

}  // namespace ldmpi::backend::cuda
