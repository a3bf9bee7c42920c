// Random draws as base/rng.h defines them, bit for bit: compiled without contraction of a*b+c.

#include "backend/cuda/each.cuh"
#include "backend/cuda/kernels.h"
#include "base/rng.h"

namespace ldmpi::backend::cuda {
namespace {

struct TimestepBody {
  static constexpr int kWidth = 1;
  const std::int64_t* draws;
  std::int64_t* out;
  std::uint64_t seed;
  std::int64_t steps;
  template <int N>
  __device__ void at(std::int64_t, std::int64_t n) const {
    const Draw draw{seed, Purpose::Timestep, static_cast<std::uint64_t>(draws[n])};
    const auto step = static_cast<std::int64_t>(static_cast<double>(steps) * static_cast<double>(draw.uniform(0)));
    out[n] = step < steps ? step : steps - 1;  // the largest uniform number rounds to 1
  }
};

/// Four numbers a thread, in canonical order, into channels-last rows.
struct NormalBody {
  static constexpr int kWidth = 1;
  const std::int64_t* draws;
  float* out;
  std::uint64_t seed;
  Purpose purpose;
  std::int64_t pitch;
  std::int64_t pixels;
  std::int64_t size;  ///< of a sample
  template <int N>
  __device__ void at(std::int64_t n, std::int64_t block) const {
    const Philox4 words =
        Draw{seed, purpose, static_cast<std::uint64_t>(draws[n])}.words(static_cast<std::uint64_t>(block));
    const std::uint32_t bits[4] = {words.x, words.y, words.z, words.w};
    for (std::int64_t k = 0; k < 4 && block * 4 + k < size; ++k) {
      const std::int64_t j = block * 4 + k;
      out[(n * pixels + j % pixels) * pitch + j / pixels] = normal_from_uniform(uniform_from_bits(bits[k]));
    }
  }
};

}  // namespace

KernelPtr make_kernel(const ir::RandomTimesteps& op, const NodeTypes& types, Site& site) {
  return own_kernel(
      [op, count = types.outputs[0].count(), stream = site.stream()](const KernelArgs& args) {
        each(1, count, false, stream,
             TimestepBody{args.in<std::int64_t>(0), args.out<std::int64_t>(0), op.seed, op.steps});
      });
}

KernelPtr make_kernel(const ir::RandomNormal& op, const NodeTypes& types, Site& site) {
  return own_kernel([op, y = types.outputs[0], stream = site.stream()](const KernelArgs& args) {
    const std::int64_t samples = y.shape[0];
    const std::int64_t pixels = y.rows() / samples;
    const std::int64_t size = pixels * y.columns();
    each(samples, ceil_div(size, 4), false, stream,
         NormalBody{args.in<std::int64_t>(0), args.out<float>(0), op.seed, op.purpose, y.row_pitch(), pixels, size});
  });
}

}  // namespace ldmpi::backend::cuda
