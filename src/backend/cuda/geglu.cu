// y = value * gelu(gate) over rows [value | gate], and its gradient.

#include "backend/cuda/each.cuh"
#include "backend/cuda/kernels.h"
#include "backend/cuda/math.cuh"

namespace ldmpi::backend::cuda {
namespace {

template <typename T>
struct GegluBody {
  static constexpr int kWidth = kWide<T>;
  const T* x;
  T* y;
  std::int64_t x_pitch;
  std::int64_t y_pitch;
  std::int64_t width;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    auto values = load<N>(x + row * x_pitch + column);
    const auto gates = load<N>(x + row * x_pitch + width + column);
    for (int i = 0; i < N; ++i) values.at[i] *= gelu(gates.at[i]);
    store(y + row * y_pitch + column, values);
  }
};

template <typename T>
struct GegluGradBody {
  static constexpr int kWidth = kWide<T>;
  const T* dy;
  const T* x;
  T* dx;
  std::int64_t dy_pitch;
  std::int64_t x_pitch;
  std::int64_t dx_pitch;
  std::int64_t width;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    const auto slopes = load<N>(dy + row * dy_pitch + column);
    auto values = load<N>(x + row * x_pitch + column);
    auto gates = load<N>(x + row * x_pitch + width + column);
    for (int i = 0; i < N; ++i) {
      const Normal n = normal_at(gates.at[i]);
      const float dvalue = slopes.at[i] * gates.at[i] * n.cdf;
      gates.at[i] = slopes.at[i] * values.at[i] * (n.cdf + gates.at[i] * n.density);
      values.at[i] = dvalue;
    }
    store(dx + row * dx_pitch + column, values);
    store(dx + row * dx_pitch + width + column, gates);
  }
};

}  // namespace

KernelPtr make_kernel(const ir::Geglu& op, const NodeTypes& types, Site& site) {
  const ir::Type& x = types.inputs[0];
  const ir::Type& y = types.outputs[0];
  expect_equal_dtypes(op.name, {&x, &y});
  return with_float(x.dtype, [&]<typename T>(T) -> KernelPtr {
    const bool fits = fits_wide(x, kWide<T>) && fits_wide(y, kWide<T>);
    return own_kernel([=, stream = site.stream()](const KernelArgs& args) {
      each(y.rows(), y.columns(), fits && aligned({args.inputs[0], args.outputs[0]}), stream,
           GegluBody<T>{args.in<T>(0), args.out<T>(0), x.row_pitch(), y.row_pitch(), y.columns()});
    });
  });
}

KernelPtr make_kernel(const ir::GegluGrad& op, const NodeTypes& types, Site& site) {
  const ir::Type& dy = types.inputs[0];
  const ir::Type& x = types.inputs[1];
  const ir::Type& dx = types.outputs[0];
  expect_equal_dtypes(op.name, {&dy, &x, &dx});
  return with_float(x.dtype, [&]<typename T>(T) -> KernelPtr {
    const bool fits = fits_wide(dy, kWide<T>) && fits_wide(x, kWide<T>) && fits_wide(dx, kWide<T>);
    return own_kernel([=, stream = site.stream()](const KernelArgs& args) {
      each(dy.rows(), dy.columns(), fits && aligned({args.inputs[0], args.inputs[1], args.outputs[0]}), stream,
           GegluGradBody<T>{args.in<T>(0), args.in<T>(1), args.out<T>(0), dy.row_pitch(), x.row_pitch(), dx.row_pitch(),
                            dy.columns()});
    });
  });
}

}  // namespace ldmpi::backend::cuda
