// Between canonical order (row-major N,C,H,W in f32) and channels-last images of any float type.

#include "backend/cuda/each.cuh"
#include "backend/cuda/kernels.h"

namespace ldmpi::backend::cuda {
namespace {

/// An image of `pixels` per sample beside its canonical matrix [N*channels, pixels].
template <typename T, bool kToImage>
struct BorderBody {
  static constexpr int kWidth = 1;
  std::conditional_t<kToImage, T, const T>* image;
  std::conditional_t<kToImage, const float, float>* planes;
  std::int64_t image_pitch;
  std::int64_t plane_pitch;
  std::int64_t channels;
  std::uint32_t pixels;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t channel) const {
    const auto pixel = static_cast<std::uint32_t>(row);
    auto& here = image[row * image_pitch + channel];
    auto& there = planes[(pixel / pixels * channels + channel) * plane_pitch + pixel % pixels];
    if constexpr (kToImage) {
      here = from_float<T>(there);
    } else {
      there = to_float(here);
    }
  }
};

template <bool kToImage>
KernelPtr make(const ir::Type& image, const ir::Type& planes, Stream stream) {
  return with_float(image.dtype, [&]<typename T>(T) -> KernelPtr {
    return own_kernel([=](const KernelArgs& args) {
      BorderBody<T, kToImage> body;
      if constexpr (kToImage) {
        body.image = args.out<T>(0);
        body.planes = args.in<float>(0);
      } else {
        body.image = args.in<T>(0);
        body.planes = args.out<float>(0);
      }
      body.image_pitch = image.row_pitch();
      body.plane_pitch = planes.row_pitch();
      body.channels = image.columns();
      body.pixels = static_cast<std::uint32_t>(image.rows() / image.shape[0]);
      each(image.rows(), image.columns(), false, stream, body);
    });
  });
}

}  // namespace

KernelPtr make_kernel(const ir::FromCanonical&, const NodeTypes& types, Site& site) {
  return make<true>(types.outputs[0], types.inputs[0], site.stream());
}

KernelPtr make_kernel(const ir::ToCanonical&, const NodeTypes& types, Site& site) {
  return make<false>(types.inputs[0], types.outputs[0], site.stream());
}

}  // namespace ldmpi::backend::cuda
