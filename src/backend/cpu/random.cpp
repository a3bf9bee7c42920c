// Random draws as base/rng.h defines them, bit for bit: compiled without contraction of a*b+c.

#include <algorithm>

#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"

namespace ldmpi::backend::cpu {
namespace {

constexpr std::int64_t kNumbers = 1024;

/// Normal numbers of elements [first, first + kNumbers), first a multiple of 4.
void draw_normal(const Draw& draw, std::int64_t first, float* out) {
  alignas(64) std::uint32_t bits[kNumbers];
  for (std::int64_t i = 0; i < kNumbers; i += 4) {
    const Philox4 words = draw.words(static_cast<std::uint64_t>(first + i) >> 2);
    bits[i] = words.x;
    bits[i + 1] = words.y;
    bits[i + 2] = words.z;
    bits[i + 3] = words.w;
  }
#pragma omp simd
  for (std::int64_t i = 0; i < kNumbers; ++i) out[i] = normal_from_uniform(uniform_from_bits(bits[i]));
}

}  // namespace

NodeAnswer answer(const ir::RandomTimesteps&, const NodeTypes&) {
  return {};
}

KernelPtr make_kernel(const ir::RandomTimesteps& op, const NodeTypes& types) {
  return own_kernel([op, count = types.outputs[0].count()](const KernelArgs& args) {
    for (std::int64_t n = 0; n < count; ++n) {
      const auto draw = static_cast<std::uint64_t>(args.in<std::int64_t>(0)[n]);
      const double u = double{Draw{op.seed, Purpose::Timestep, draw}.uniform(0)};
      // The largest uniform number rounds to 1.
      args.out<std::int64_t>(0)[n] =
          std::min(op.steps - 1, static_cast<std::int64_t>(static_cast<double>(op.steps) * u));
    }
  });
}

NodeAnswer answer(const ir::RandomNormal&, const NodeTypes&) {
  return {.pitched_outputs = true};
}

KernelPtr make_kernel(const ir::RandomNormal& op, const NodeTypes& types) {
  return own_kernel([op, y = types.outputs[0]](const KernelArgs& args) {
    const std::int64_t samples = y.shape[0];
    const std::int64_t pixels = y.rows() / samples;
    const std::int64_t size = pixels * y.columns();
    const std::int64_t pieces = ceil_div(size, kNumbers);
    parallel_for(samples * pieces, y.count() * 16, [&](std::int64_t i) {
      const std::int64_t n = i / pieces;
      const std::int64_t first = i % pieces * kNumbers;
      alignas(64) float numbers[kNumbers];
      draw_normal({op.seed, op.purpose, static_cast<std::uint64_t>(args.in<std::int64_t>(0)[n])}, first, numbers);
      float* out = args.out<float>(0) + n * pixels * y.row_pitch();
      for (std::int64_t j = first; j < std::min(first + kNumbers, size); ++j)
        out[j % pixels * y.row_pitch() + j / pixels] = numbers[j - first];
    });
  });
}

}  // namespace ldmpi::backend::cpu
