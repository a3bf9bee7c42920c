// Element by element: activations, sums, casts, constants.

#include <cstring>

#include "backend/cpu/element.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/vector_math.h"

namespace ldmpi::backend::cpu {
namespace {

constexpr NodeAnswer kAnywhere{.pitched_inputs = true, .pitched_outputs = true};
constexpr NodeAnswer kInPlace{.pitched_inputs = true, .pitched_outputs = true, .overwrites_first = true};

/// y = fn(x).
template <typename Fn>
KernelPtr map1(const NodeTypes& types, Fn fn) {
  return own_kernel([spans = Spans<2>({&types.inputs[0], &types.outputs[0]}), fn](const KernelArgs& args) {
    spans.run([&](const auto& at, std::int64_t n) {
      const float* x = args.in<float>(0) + at[0];
      float* y = args.out<float>(0) + at[1];
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) y[i] = fn(x[i]);
    });
  });
}

/// y = fn(a, b).
template <typename Fn>
KernelPtr map2(const NodeTypes& types, Fn fn) {
  const Spans<3> spans({&types.inputs[0], &types.inputs[1], &types.outputs[0]});
  return own_kernel([spans, fn](const KernelArgs& args) {
    spans.run([&](const auto& at, std::int64_t n) {
      const float* a = args.in<float>(0) + at[0];
      const float* b = args.in<float>(1) + at[1];
      float* y = args.out<float>(0) + at[2];
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) y[i] = fn(a[i], b[i]);
    });
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

template <typename Word>
KernelPtr fill_words(const NodeTypes& types, Word word) {
  return own_kernel([spans = Spans<1>({&types.outputs[0]}), word](const KernelArgs& args) {
    spans.run([&](const auto& at, std::int64_t n) { std::fill_n(args.out<Word>(0) + at[0], n, word); });
  });
}

}  // namespace

NodeAnswer answer(const ir::Unary&, const NodeTypes&) {
  return kInPlace;
}
KernelPtr make_kernel(const ir::Unary& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  if (op.fn == ir::UnaryFn::Silu) return map1(types, [](float x) { return silu(x); });
  return map1(types, [](float x) { return gelu(x); });
}

NodeAnswer answer(const ir::UnaryGrad&, const NodeTypes&) {
  return kInPlace;
}
KernelPtr make_kernel(const ir::UnaryGrad& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  if (op.fn == ir::UnaryFn::Silu) return map2(types, [](float dy, float x) { return dy * silu_slope(x); });
  return map2(types, [](float dy, float x) { return dy * gelu_slope(x); });
}

NodeAnswer answer(const ir::Add&, const NodeTypes&) {
  return kInPlace;
}
KernelPtr make_kernel(const ir::Add& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return map2(types, [](float a, float b) { return a + b; });
}

NodeAnswer answer(const ir::Scale&, const NodeTypes&) {
  return kInPlace;
}
KernelPtr make_kernel(const ir::Scale& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return map1(types, [factor = op.factor](float x) { return factor * x; });
}

NodeAnswer answer(const ir::Cast&, const NodeTypes&) {
  return kAnywhere;
}
KernelPtr make_kernel(const ir::Cast&, const NodeTypes& types) {
  const ir::Type& x = types.inputs[0];
  const ir::Type& y = types.outputs[0];
  return own_kernel([spans = Spans<2>({&x, &y}), from = x.dtype, to = y.dtype](const KernelArgs& args) {
    spans.run([&](const auto& at, std::int64_t n) {
      const std::byte* source = element(args.inputs[0], from, at[0]);
      std::byte* target = element(args.outputs[0], to, at[1]);
      if (from == to) {
        std::memcpy(target, source, static_cast<std::size_t>(n) * size_of(from));
      } else if (to == DType::F32) {
        read_floats(source, from, reinterpret_cast<float*>(target), n);
      } else {
        FloatsIn in;
        for_chunks(n, [&](std::int64_t i, std::int64_t m) {
          write_floats(in.at(source, from, i, m), to, element(target, to, i), m);
        });
      }
    });
  });
}

NodeAnswer answer(const ir::AddChannels&, const NodeTypes&) {
  return kInPlace;
}
KernelPtr make_kernel(const ir::AddChannels& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  const ir::Type& x = types.inputs[0];
  const std::int64_t rows = x.rows();
  const std::int64_t pixels = rows / x.shape[0];
  return own_kernel([rows, pixels, columns = x.columns(), x_pitch = x.row_pitch(),
                     t_pitch = types.inputs[1].row_pitch(),
                     y_pitch = types.outputs[0].row_pitch()](const KernelArgs& args) {
    parallel_for(rows, rows * columns, [&](std::int64_t row) {
      const float* from = args.in<float>(0) + row * x_pitch;
      const float* shift = args.in<float>(1) + row / pixels * t_pitch;
      float* y = args.out<float>(0) + row * y_pitch;
#pragma omp simd
      for (std::int64_t i = 0; i < columns; ++i) y[i] = from[i] + shift[i];
    });
  });
}

NodeAnswer answer(const ir::MulAdd&, const NodeTypes&) {
  return kInPlace;
}
KernelPtr make_kernel(const ir::MulAdd& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  const Spans<4> spans({&types.inputs[0], &types.inputs[1], &types.inputs[2], &types.outputs[0]});
  return own_kernel([spans](const KernelArgs& args) {
    spans.run([&](const auto& at, std::int64_t n) {
      const float* x = args.in<float>(0) + at[0];
      const float* s = args.in<float>(1) + at[1];
      const float* e = args.in<float>(2) + at[2];
      float* y = args.out<float>(0) + at[3];
#pragma omp simd
      for (std::int64_t i = 0; i < n; ++i) y[i] = x[i] + s[i] * e[i];
    });
  });
}

NodeAnswer answer(const ir::Fill&, const NodeTypes&) {
  return kAnywhere;
}
KernelPtr make_kernel(const ir::Fill& op, const NodeTypes& types) {
  const std::uint64_t bits = pattern_of(op.value, types.outputs[0].dtype);
  switch (size_of(types.outputs[0].dtype)) {
    case 8: return fill_words<std::uint64_t>(types, bits);
    case 4: return fill_words<std::uint32_t>(types, static_cast<std::uint32_t>(bits));
    case 2: return fill_words<std::uint16_t>(types, static_cast<std::uint16_t>(bits));
    default: return fill_words<std::uint8_t>(types, static_cast<std::uint8_t>(bits));
  }
}

}  // namespace ldmpi::backend::cpu
