// The diffusion process: noising, caption dropout and time features.

#include <cmath>
#include <numbers>
#include <vector>

#include "backend/cuda/each.cuh"
#include "backend/cuda/kernels.h"
#include "base/rng.h"

namespace ldmpi::backend::cuda {
namespace {

struct LookupBody {
  static constexpr int kWidth = 1;
  const float* table;
  const std::int64_t* index;
  float* out;
  std::int64_t last;
  template <int N>
  __device__ void at(std::int64_t, std::int64_t n) const {
    // A timestep outside the table is a defect upstream; it must not read foreign memory.
    const std::int64_t i = index[n];
    out[n] = table[i < 0 ? 0 : i > last ? last : i];
  }
};

/// Row n: a[n] * x + b[n] * e.
template <typename T>
struct BlendBody {
  static constexpr int kWidth = kWide<T>;
  const float* a;
  const float* x;
  const float* b;
  const float* e;
  T* y;
  std::int64_t size;
  template <int N>
  __device__ void at(std::int64_t n, std::int64_t i) const {
    auto values = load<N>(x + n * size + i);
    const auto noise = load<N>(e + n * size + i);
    for (int k = 0; k < N; ++k) values.at[k] = a[n] * values.at[k] + b[n] * noise.at[k];
    store(y + n * size + i, values);
  }
};

template <typename T, typename Y>
struct DropBody {
  static constexpr int kWidth = kWidest<T, Y>;
  const std::int64_t* draws;
  const T* x;
  const T* empty;
  Y* y;
  std::int64_t x_pitch;
  std::int64_t empty_pitch;
  std::int64_t y_pitch;
  std::int64_t tokens;
  std::uint64_t seed;
  float probability;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    const Draw draw{seed, Purpose::CaptionDrop, static_cast<std::uint64_t>(draws[row / tokens])};
    const T* from = draw.uniform(0) < probability ? empty + row % tokens * empty_pitch : x + row * x_pitch;
    store(y + row * y_pitch + column, load<N>(from + column));
  }
};

/// Row k: the features of number k.
template <typename T, typename Y>
struct SinusoidBody {
  static constexpr int kWidth = 1;
  const T* numbers;
  const float* frequencies;
  Y* y;
  std::int64_t y_pitch;
  std::int64_t per_row;
  std::int64_t dim;
  bool cos_first;
  template <int N>
  __device__ void at(std::int64_t k, std::int64_t i) const {
    const std::int64_t half = dim / 2;
    const auto angle = static_cast<double>(static_cast<float>(numbers[k]) * frequencies[i % half]);
    const bool cosine = (i < half) == cos_first;
    y[k / per_row * y_pitch + k % per_row * dim + i] =
        from_float<Y>(static_cast<float>(cosine ? cos(angle) : sin(angle)));
  }
};

/// Rounded to f32 after every operation, as the field's models are: with t near 1000 it shows in the fifth digit.
std::vector<float> frequencies_of(const ir::Sinusoid& op) {
  const std::int64_t half = op.dim / 2;
  std::vector<float> frequencies(static_cast<std::size_t>(half));
  for (std::int64_t i = 0; i < half; ++i) {
    const float scaled = static_cast<float>(-std::numbers::ln10 * 4) * static_cast<float>(i);
    const float exponent = scaled / (static_cast<float>(half) - op.shift);
    frequencies[static_cast<std::size_t>(i)] = static_cast<float>(std::exp(static_cast<double>(exponent)));
  }
  return frequencies;
}

}  // namespace

KernelPtr make_kernel(const ir::Lookup&, const NodeTypes& types, Site& site) {
  return own_kernel([count = types.outputs[0].count(), last = types.inputs[0].count() - 1,
                     stream = site.stream()](const KernelArgs& args) {
    each(1, count, false, stream,
         LookupBody{args.in<float>(0), args.in<std::int64_t>(1), args.out<float>(0), last});
  });
}

KernelPtr make_kernel(const ir::Blend&, const NodeTypes& types, Site& site) {
  const std::int64_t samples = types.inputs[1].shape[0];
  const std::int64_t size = types.inputs[1].count() / samples;
  return with_float(types.outputs[0].dtype, [&]<typename T>(T) -> KernelPtr {
    return own_kernel([=, stream = site.stream()](const KernelArgs& args) {
      const bool wide = size % kWide<T> == 0 && aligned({args.inputs[1], args.inputs[3], args.outputs[0]});
      each(samples, size, wide, stream,
           BlendBody<T>{args.in<float>(0), args.in<float>(1), args.in<float>(2), args.in<float>(3), args.out<T>(0),
                        size});
    });
  });
}

KernelPtr make_kernel(const ir::DropCaption& op, const NodeTypes& types, Site& site) {
  const ir::Type& x = types.inputs[1];
  const ir::Type& empty = types.inputs[2];
  const ir::Type& y = types.outputs[0];
  expect_equal_dtypes(op.name, {&x, &empty});
  return with_float(x.dtype, [&]<typename T>(T) {
    return with_float(y.dtype, [&]<typename Y>(Y) -> KernelPtr {
      constexpr int kWidth = kWidest<T, Y>;
      const bool fits = fits_wide(x, kWidth) && fits_wide(empty, kWidth) && fits_wide(y, kWidth);
      return own_kernel([=, stream = site.stream()](const KernelArgs& args) {
        each(y.rows(), y.columns(), fits && aligned({args.inputs[1], args.inputs[2], args.outputs[0]}), stream,
             DropBody<T, Y>{args.in<std::int64_t>(0), args.in<T>(1), args.in<T>(2), args.out<Y>(0), x.row_pitch(),
                            empty.row_pitch(), y.row_pitch(), empty.rows(), op.seed, op.probability});
      });
    });
  });
}

KernelPtr make_kernel(const ir::Sinusoid& op, const NodeTypes& types, Site& site) {
  const ir::Type& t = types.inputs[0];
  const ir::Type& y = types.outputs[0];
  const auto values = frequencies_of(op);
  const auto frequencies = site.keep(std::as_bytes(std::span(values)));
  const auto make = [&]<typename T>(T) {
    return with_float(y.dtype, [&]<typename Y>(Y) -> KernelPtr {
      return own_kernel([=, stream = site.stream()](const KernelArgs& args) {
        each(t.count(), op.dim, false, stream,
             SinusoidBody<T, Y>{args.in<T>(0), static_cast<const float*>(frequencies.get()), args.out<Y>(0),
                                y.row_pitch(), y.columns() / op.dim, op.dim, op.cos_first});
      });
    });
  };
  return t.dtype == DType::I64 ? make(std::int64_t{}) : make(float{});
}

}  // namespace ldmpi::backend::cuda
