// Between canonical order (row-major N,C,H,W in f32) and channels-last images of any float type.

#include "backend/cpu/element.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"

namespace ldmpi::backend::cpu {
namespace {

/// An image of `pixels` per sample beside its canonical matrix [N*channels, pixels].
struct Borders {
  std::int64_t samples;
  std::int64_t channels;
  std::int64_t pixels;
  DType dtype;  ///< of the image
  std::int64_t image_pitch;
  std::int64_t plane_pitch;

  Borders(const ir::Type& image, const ir::Type& planes)
      : samples(image.shape[0]),
        channels(image.columns()),
        pixels(image.rows() / image.shape[0]),
        dtype(image.dtype),
        image_pitch(image.row_pitch()),
        plane_pitch(planes.row_pitch()) {}

  /// body(first element of the image's pixel, first element in the planes, channels) for runs of at most kChunk.
  template <typename Body>
  void run(const Body& body) const {
    parallel_for(samples * pixels, samples * pixels * channels, [&](std::int64_t row) {
      const std::int64_t n = row / pixels;
      for_chunks(channels, [&](std::int64_t c, std::int64_t m) {
        body(row * image_pitch + c, (n * channels + c) * plane_pitch + row % pixels, m);
      });
    });
  }
};

}  // namespace

NodeAnswer answer(const ir::FromCanonical&, const NodeTypes&) {
  return {.pitched_inputs = true, .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::FromCanonical&, const NodeTypes& types) {
  return own_kernel([borders = Borders(types.outputs[0], types.inputs[0])](const KernelArgs& args) {
    borders.run([&](std::int64_t pixel, std::int64_t plane, std::int64_t m) {
      FloatsOut out;
      float* y = out.at(args.outputs[0], borders.dtype, pixel);
      for (std::int64_t c = 0; c < m; ++c) y[c] = args.in<float>(0)[plane + c * borders.plane_pitch];
      out.store(m);
    });
  });
}

NodeAnswer answer(const ir::ToCanonical&, const NodeTypes&) {
  return {.pitched_inputs = true, .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::ToCanonical&, const NodeTypes& types) {
  return own_kernel([borders = Borders(types.inputs[0], types.outputs[0])](const KernelArgs& args) {
    borders.run([&](std::int64_t pixel, std::int64_t plane, std::int64_t m) {
      FloatsIn in;
      const float* x = in.at(args.inputs[0], borders.dtype, pixel, m);
      for (std::int64_t c = 0; c < m; ++c) args.out<float>(0)[plane + c * borders.plane_pitch] = x[c];
    });
  });
}

}  // namespace ldmpi::backend::cpu
