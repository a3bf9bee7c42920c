// Nearest-neighbour resize and its gradient.

#include "backend/cuda/each.cuh"
#include "backend/cuda/kernels.h"

namespace ldmpi::backend::cuda {
namespace {

/// Rows, columns and pixels of an image in both sizes.
struct Sizes {
  std::uint32_t height, width;  ///< of the smaller one, which the gradient belongs to
  std::uint32_t many_height, many_width;

  Sizes(const ir::Type& few, const ir::Type& many)
      : height(static_cast<std::uint32_t>(few.shape[2])),
        width(static_cast<std::uint32_t>(few.shape[3])),
        many_height(static_cast<std::uint32_t>(many.shape[2])),
        many_width(static_cast<std::uint32_t>(many.shape[3])) {}
};

template <typename T>
struct ResizeBody {
  static constexpr int kWidth = kWide<T>;
  const T* x;
  T* y;
  std::int64_t x_pitch;
  std::int64_t y_pitch;
  Sizes sizes;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    const auto pixel = static_cast<std::uint32_t>(row);
    const std::uint32_t line = pixel / sizes.many_width;
    const std::uint32_t w = pixel % sizes.many_width * sizes.width / sizes.many_width;
    const std::uint32_t h = line % sizes.many_height * sizes.height / sizes.many_height;
    const std::int64_t source =
        (static_cast<std::int64_t>(line / sizes.many_height) * sizes.height + h) * sizes.width + w;
    *reinterpret_cast<Pack<T, N>*>(y + row * y_pitch + column) =
        *reinterpret_cast<const Pack<T, N>*>(x + source * x_pitch + column);
  }
};

/// The first of the `many` pixels that read pixel p of the `few`.
__device__ __forceinline__ std::uint32_t first_reader(std::uint32_t p, std::uint32_t many, std::uint32_t few) {
  return (p * many + few - 1) / few;
}

template <typename T>
struct ResizeGradBody {
  static constexpr int kWidth = kWide<T>;
  const T* dy;
  T* dx;
  std::int64_t dy_pitch;
  std::int64_t dx_pitch;
  Sizes sizes;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    const auto pixel = static_cast<std::uint32_t>(row);
    const std::uint32_t w = pixel % sizes.width;
    const std::uint32_t h = pixel / sizes.width % sizes.height;
    const std::int64_t sample = pixel / sizes.width / sizes.height;
    Floats<N> sum = {};
    for (std::uint32_t i = first_reader(h, sizes.many_height, sizes.height);
         i < first_reader(h + 1, sizes.many_height, sizes.height); ++i)
      for (std::uint32_t j = first_reader(w, sizes.many_width, sizes.width);
           j < first_reader(w + 1, sizes.many_width, sizes.width); ++j) {
        const std::int64_t reader = (sample * sizes.many_height + i) * sizes.many_width + j;
        const auto values = load<N>(dy + reader * dy_pitch + column);
        for (int k = 0; k < N; ++k) sum.at[k] += values.at[k];
      }
    store(dx + row * dx_pitch + column, sum);
  }
};

/// A kernel that runs Body over the rows of the output.
template <template <typename> typename Body>
KernelPtr make(std::string_view op, const NodeTypes& types, const Sizes& sizes, Stream stream) {
  const ir::Type& from = types.inputs[0];
  const ir::Type& to = types.outputs[0];
  expect_equal_dtypes(op, {&from, &to});
  return with_float(to.dtype, [&]<typename T>(T) -> KernelPtr {
    const bool fits = fits_wide(from, kWide<T>) && fits_wide(to, kWide<T>);
    return own_kernel([=](const KernelArgs& args) {
      each(to.rows(), to.columns(), fits && aligned({args.inputs[0], args.outputs[0]}), stream,
           Body<T>{args.in<T>(0), args.out<T>(0), from.row_pitch(), to.row_pitch(), sizes});
    });
  });
}

}  // namespace

KernelPtr make_kernel(const ir::Upsample& op, const NodeTypes& types, Site& site) {
  return make<ResizeBody>(op.name, types, {types.inputs[0], types.outputs[0]}, site.stream());
}

KernelPtr make_kernel(const ir::UpsampleGrad& op, const NodeTypes& types, Site& site) {
  return make<ResizeGradBody>(op.name, types, {types.outputs[0], types.inputs[0]}, site.stream());
}

}  // namespace ldmpi::backend::cuda
