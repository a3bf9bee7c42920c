// Element by element: activations, sums, casts, constants.

#include "backend/cuda/each.cuh"
#include "backend/cuda/kernels.h"
#include "backend/cuda/math.cuh"

namespace ldmpi::backend::cuda {
namespace {

/// A matrix whose row `r` begins `r * pitch` elements behind the first.
template <typename T>
struct Rows {
  T* base;
  std::int64_t pitch;
  __device__ __forceinline__ T* at(std::int64_t row, std::int64_t column) const { return base + row * pitch + column; }
};

template <typename T>
Rows<const T> input(const KernelArgs& args, const NodeTypes& types, std::size_t i) {
  return {args.in<T>(i), types.inputs[i].row_pitch()};
}
template <typename T>
Rows<T> output(const KernelArgs& args, const NodeTypes& types) {
  return {args.out<T>(0), types.outputs[0].row_pitch()};
}

/// y = fn(x).
template <typename X, typename Y, typename Fn>
struct Map1 {
  static constexpr int kWidth = kWidest<X, Y>;
  Rows<const X> x;
  Rows<Y> y;
  Fn fn;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    auto values = load<N>(x.at(row, column));
    for (int i = 0; i < N; ++i) values.at[i] = fn(values.at[i]);
    store(y.at(row, column), values);
  }
};

/// y = fn(a, b).
template <typename T, typename Fn>
struct Map2 {
  static constexpr int kWidth = kWide<T>;
  Rows<const T> a;
  Rows<const T> b;
  Rows<T> y;
  Fn fn;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    auto values = load<N>(a.at(row, column));
    const auto others = load<N>(b.at(row, column));
    for (int i = 0; i < N; ++i) values.at[i] = fn(values.at[i], others.at[i]);
    store(y.at(row, column), values);
  }
};

template <typename X, typename Y, typename Fn>
KernelPtr map1(const NodeTypes& types, Stream stream, Fn fn) {
  const Walk walk({&types.inputs[0], &types.outputs[0]}, kWidest<X, Y>);
  return own_kernel([=](const KernelArgs& args) {
    const bool wide = walk.wide && aligned({args.inputs[0], args.outputs[0]});
    each(walk.rows, walk.columns, wide, stream, Map1<X, Y, Fn>{input<X>(args, types, 0), output<Y>(args, types), fn});
  });
}

template <typename Fn>
KernelPtr map1(std::string_view op, const NodeTypes& types, Stream stream, Fn fn) {
  expect_equal_dtypes(op, {&types.inputs[0], &types.outputs[0]});
  return with_float(types.inputs[0].dtype, [&]<typename T>(T) -> KernelPtr { return map1<T, T>(types, stream, fn); });
}

template <typename Fn>
KernelPtr map2(std::string_view op, const NodeTypes& types, Stream stream, Fn fn) {
  expect_equal_dtypes(op, {&types.inputs[0], &types.inputs[1], &types.outputs[0]});
  return with_float(types.inputs[0].dtype, [&]<typename T>(T) -> KernelPtr {
    const Walk walk({&types.inputs[0], &types.inputs[1], &types.outputs[0]}, kWide<T>);
    return own_kernel([=](const KernelArgs& args) {
      const bool wide = walk.wide && aligned({args.inputs[0], args.inputs[1], args.outputs[0]});
      each(walk.rows, walk.columns, wide, stream,
           Map2<T, Fn>{input<T>(args, types, 0), input<T>(args, types, 1), output<T>(args, types), fn});
    });
  });
}

struct SiluFn {
  __device__ float operator()(float x) const { return silu(x); }
};
struct GeluFn {
  __device__ float operator()(float x) const { return gelu(x); }
};
struct SiluSlopeFn {
  __device__ float operator()(float dy, float x) const { return dy * silu_slope(x); }
};
struct GeluSlopeFn {
  __device__ float operator()(float dy, float x) const { return dy * gelu_slope(x); }
};
struct SumFn {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct ScaleFn {
  float factor;
  __device__ float operator()(float x) const { return factor * x; }
};
struct CopyFn {
  __device__ float operator()(float x) const { return x; }
};

/// y = x + t of the row's sample.
template <typename T>
struct ShiftChannels {
  static constexpr int kWidth = kWide<T>;
  Rows<const T> x;
  Rows<const T> t;
  Rows<T> y;
  std::int64_t pixels;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    auto values = load<N>(x.at(row, column));
    const auto shift = load<N>(t.at(row / pixels, column));
    for (int i = 0; i < N; ++i) values.at[i] += shift.at[i];
    store(y.at(row, column), values);
  }
};

struct MulAddBody {
  static constexpr int kWidth = kWide<float>;
  Rows<const float> x;
  Rows<const float> s;
  Rows<const float> e;
  Rows<float> y;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    auto values = load<N>(x.at(row, column));
    const auto factor = load<N>(s.at(row, column));
    const auto noise = load<N>(e.at(row, column));
    for (int i = 0; i < N; ++i) values.at[i] += factor.at[i] * noise.at[i];
    store(y.at(row, column), values);
  }
};

template <typename Word>
struct FillBody {
  static constexpr int kWidth = kWide<Word>;
  Rows<Word> y;
  Word word;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t column) const {
    Pack<Word, N> pack;
    for (int i = 0; i < N; ++i) pack.at[i] = word;
    *reinterpret_cast<Pack<Word, N>*>(y.at(row, column)) = pack;
  }
};

template <typename Word>
KernelPtr fill(const NodeTypes& types, Stream stream, Word word) {
  const Walk walk({&types.outputs[0]}, kWide<Word>);
  return own_kernel([=](const KernelArgs& args) {
    each(walk.rows, walk.columns, walk.wide && aligned({args.outputs[0]}), stream,
         FillBody<Word>{output<Word>(args, types), word});
  });
}

/// The bytes of one element that holds `value`.
std::uint64_t pattern_of(float value, DType type) {
  std::uint64_t bits = 0;
  switch (type) {
    case DType::I64: return static_cast<std::uint64_t>(static_cast<std::int64_t>(value));
    case DType::I32: return static_cast<std::uint32_t>(static_cast<std::int32_t>(value));
    case DType::U32: return static_cast<std::uint32_t>(value);
    case DType::U8: return static_cast<std::uint8_t>(value);
    default: convert_from_float(&value, type, &bits, 1); return bits;
  }
}

}  // namespace

KernelPtr make_kernel(const ir::Unary& op, const NodeTypes& types, Site& site) {
  if (op.fn == ir::UnaryFn::Silu) return map1(op.name, types, site.stream(), SiluFn{});
  return map1(op.name, types, site.stream(), GeluFn{});
}

KernelPtr make_kernel(const ir::UnaryGrad& op, const NodeTypes& types, Site& site) {
  if (op.fn == ir::UnaryFn::Silu) return map2(op.name, types, site.stream(), SiluSlopeFn{});
  return map2(op.name, types, site.stream(), GeluSlopeFn{});
}

KernelPtr make_kernel(const ir::Add& op, const NodeTypes& types, Site& site) {
  return map2(op.name, types, site.stream(), SumFn{});
}

KernelPtr make_kernel(const ir::Scale& op, const NodeTypes& types, Site& site) {
  return map1(op.name, types, site.stream(), ScaleFn{op.factor});
}

KernelPtr make_kernel(const ir::Cast&, const NodeTypes& types, Site& site) {
  return with_float(types.inputs[0].dtype, [&]<typename X>(X) -> KernelPtr {
    return with_float(types.outputs[0].dtype,
                      [&]<typename Y>(Y) -> KernelPtr { return map1<X, Y>(types, site.stream(), CopyFn{}); });
  });
}

KernelPtr make_kernel(const ir::AddChannels& op, const NodeTypes& types, Site& site) {
  const ir::Type& x = types.inputs[0];
  expect_equal_dtypes(op.name, {&x, &types.inputs[1], &types.outputs[0]});
  return with_float(x.dtype, [&]<typename T>(T) -> KernelPtr {
    const bool fits =
        fits_wide(x, kWide<T>) && fits_wide(types.inputs[1], kWide<T>) && fits_wide(types.outputs[0], kWide<T>);
    return own_kernel([=, rows = x.rows(), columns = x.columns(), pixels = x.rows() / x.shape[0],
                       stream = site.stream()](const KernelArgs& args) {
      each(rows, columns, fits && aligned({args.inputs[0], args.inputs[1], args.outputs[0]}), stream,
           ShiftChannels<T>{input<T>(args, types, 0), input<T>(args, types, 1), output<T>(args, types), pixels});
    });
  });
}

KernelPtr make_kernel(const ir::MulAdd&, const NodeTypes& types, Site& site) {
  const Walk walk({&types.inputs[0], &types.inputs[1], &types.inputs[2], &types.outputs[0]}, MulAddBody::kWidth);
  return own_kernel([=, stream = site.stream()](const KernelArgs& args) {
    each(walk.rows, walk.columns,
         walk.wide && aligned({args.inputs[0], args.inputs[1], args.inputs[2], args.outputs[0]}), stream,
         MulAddBody{input<float>(args, types, 0), input<float>(args, types, 1), input<float>(args, types, 2),
                    output<float>(args, types)});
  });
}

KernelPtr make_kernel(const ir::Fill& op, const NodeTypes& types, Site& site) {
  const std::uint64_t bits = pattern_of(op.value, types.outputs[0].dtype);
  switch (size_of(types.outputs[0].dtype)) {
    case 8: return fill<std::uint64_t>(types, site.stream(), bits);
    case 4: return fill<std::uint32_t>(types, site.stream(), static_cast<std::uint32_t>(bits));
    case 2: return fill<std::uint16_t>(types, site.stream(), static_cast<std::uint16_t>(bits));
    default: return fill<std::uint8_t>(types, site.stream(), static_cast<std::uint8_t>(bits));
  }
}

}  // namespace ldmpi::backend::cuda
