// The diffusion process: noising, caption dropout, time features and the loss.

#include <cmath>
#include <cstring>
#include <numbers>

#include "backend/cpu/element.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"

namespace ldmpi::backend::cpu {
namespace {

/// Dense samples of equal size, in pieces.
struct Samples {
  std::int64_t count;
  std::int64_t size;  ///< elements of a sample
  Pieces pieces;

  explicit Samples(const ir::Type& type) : count(type.shape[0]), size(type.count() / count), pieces(size, 2048) {}

  /// body(sample, piece, first element, elements); at most kChunk elements a call, in order within a piece.
  template <typename Body>
  void run(const Body& body) const {
    const std::int64_t per_sample = pieces.count();
    parallel_for(count * per_sample, count * size, [&](std::int64_t i) {
      const std::int64_t piece = i % per_sample;
      const std::int64_t begin = i / per_sample * size + pieces.begin(piece);
      for_chunks(pieces.end(piece) - pieces.begin(piece),
                 [&](std::int64_t j, std::int64_t m) { body(i / per_sample, i, begin + j, m); });
    });
  }
};

/// Numbers of an input that is i64 or f32.
float number_at(const void* base, DType type, std::int64_t i) {
  return type == DType::I64 ? static_cast<float>(static_cast<const std::int64_t*>(base)[i])
                            : static_cast<const float*>(base)[i];
}

}  // namespace

NodeAnswer answer(const ir::Lookup&, const NodeTypes&) {
  return {};
}

KernelPtr make_kernel(const ir::Lookup&, const NodeTypes& types) {
  return own_kernel([count = types.outputs[0].count(), last = types.inputs[0].count() - 1](const KernelArgs& args) {
    // A timestep outside the table is a defect upstream; it must not read foreign memory.
    for (std::int64_t n = 0; n < count; ++n)
      args.out<float>(0)[n] = args.in<float>(0)[std::clamp<std::int64_t>(args.in<std::int64_t>(1)[n], 0, last)];
  });
}

NodeAnswer answer(const ir::Blend&, const NodeTypes&) {
  return {};
}

KernelPtr make_kernel(const ir::Blend&, const NodeTypes& types) {
  return own_kernel([samples = Samples(types.inputs[1]), type = types.outputs[0].dtype](const KernelArgs& args) {
    samples.run([&](std::int64_t n, std::int64_t, std::int64_t first, std::int64_t m) {
      const float a = args.in<float>(0)[n];
      const float b = args.in<float>(2)[n];
      const float* x = args.in<float>(1) + first;
      const float* e = args.in<float>(3) + first;
      FloatsOut out;
      float* y = out.at(args.outputs[0], type, first);
#pragma omp simd
      for (std::int64_t i = 0; i < m; ++i) y[i] = a * x[i] + b * e[i];
      out.store(m);
    });
  });
}

NodeAnswer answer(const ir::DropCaption&, const NodeTypes&) {
  return {.pitched_inputs = true, .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::DropCaption& op, const NodeTypes& types) {
  return own_kernel([op, types](const KernelArgs& args) {
    const ir::Type& x = types.inputs[1];
    const ir::Type& empty = types.inputs[2];
    const ir::Type& y = types.outputs[0];
    const std::int64_t tokens = empty.rows();
    parallel_for(y.rows(), y.count(), [&](std::int64_t row) {
      const auto draw = static_cast<std::uint64_t>(args.in<std::int64_t>(0)[row / tokens]);
      const bool dropped = Draw{op.seed, Purpose::CaptionDrop, draw}.uniform(0) < op.probability;
      const ir::Type& from = dropped ? empty : x;
      const std::int64_t source = (dropped ? row % tokens : row) * from.row_pitch();
      FloatsIn in;
      for_chunks(y.columns(), [&](std::int64_t i, std::int64_t m) {
        const float* values = in.at(args.inputs[dropped ? 2 : 1], from.dtype, source + i, m);
        write_floats(values, y.dtype, element(args.outputs[0], y.dtype, row * y.row_pitch() + i), m);
      });
    });
  });
}

NodeAnswer answer(const ir::Sinusoid&, const NodeTypes&) {
  return {.pitched_outputs = true};
}

KernelPtr make_kernel(const ir::Sinusoid& op, const NodeTypes& types) {
  const std::int64_t half = op.dim / 2;
  // Rounded to f32 after every operation, as the field's models are: with t near 1000 it shows in the fifth digit.
  std::vector<float> frequencies(static_cast<std::size_t>(half));
  for (std::int64_t i = 0; i < half; ++i) {
    const float scaled = static_cast<float>(-std::numbers::ln10 * 4) * static_cast<float>(i);
    const float exponent = scaled / (static_cast<float>(half) - op.shift);
    frequencies[static_cast<std::size_t>(i)] = static_cast<float>(std::exp(static_cast<double>(exponent)));
  }
  return own_kernel([op, half, frequencies, types](const KernelArgs& args) {
    const ir::Type& t = types.inputs[0];
    const ir::Type& y = types.outputs[0];
    const std::int64_t per_row = y.columns() / op.dim;
    parallel_for(t.count(), y.count() * 16, [&](std::int64_t k) {
      const float number = number_at(args.inputs[0], t.dtype, k);
      const std::int64_t first = k / per_row * y.row_pitch() + k % per_row * op.dim;
      for (std::int64_t i = 0; i < op.dim; ++i) {
        const std::int64_t index = i % half;
        const auto angle = static_cast<double>(number * frequencies[static_cast<std::size_t>(index)]);
        const bool cosine = (i < half) == op.cos_first;
        const auto value = static_cast<float>(cosine ? std::cos(angle) : std::sin(angle));
        write_floats(&value, y.dtype, element(args.outputs[0], y.dtype, first + i), 1);
      }
    });
  });
}

NodeAnswer answer(const ir::WeightedMse&, const NodeTypes& types) {
  const Samples samples(types.inputs[0]);
  Scratch scratch;
  scratch.take<double>(samples.count * samples.pieces.count());
  return {.workspace_bytes = scratch.used()};
}

KernelPtr make_kernel(const ir::WeightedMse&, const NodeTypes& types) {
  return own_kernel([samples = Samples(types.inputs[0]), type = types.inputs[0].dtype](const KernelArgs& args) {
    auto* partial = static_cast<double*>(args.workspace);
    const std::int64_t count = samples.count * samples.pieces.count();
    std::fill_n(partial, count, 0.0);
    samples.run([&](std::int64_t n, std::int64_t piece, std::int64_t first, std::int64_t m) {
      FloatsIn in;
      const float* prediction = in.at(args.inputs[0], type, first, m);
      const float* target = args.in<float>(1) + first;
      double sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t i = 0; i < m; ++i) {
        const double d = static_cast<double>(prediction[i]) - static_cast<double>(target[i]);
        sum += d * d;
      }
      partial[piece] += static_cast<double>(args.in<float>(2)[n]) * sum;
    });
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += partial[i];
    *args.out<float>(0) = static_cast<float>(sum / static_cast<double>(samples.count * samples.size));
  });
}

NodeAnswer answer(const ir::WeightedMseGrad&, const NodeTypes&) {
  return {};
}

KernelPtr make_kernel(const ir::WeightedMseGrad&, const NodeTypes& types) {
  return own_kernel([samples = Samples(types.inputs[1]), type = types.inputs[1].dtype](const KernelArgs& args) {
    const double share = 2.0 * double{*args.in<float>(0)} / static_cast<double>(samples.count * samples.size);
    samples.run([&](std::int64_t n, std::int64_t, std::int64_t first, std::int64_t m) {
      FloatsIn in;
      FloatsOut out;
      const auto factor = static_cast<float>(share * double{args.in<float>(3)[n]});
      const float* prediction = in.at(args.inputs[1], type, first, m);
      const float* target = args.in<float>(2) + first;
      float* slope = out.at(args.outputs[0], type, first);
#pragma omp simd
      for (std::int64_t i = 0; i < m; ++i) slope[i] = factor * (prediction[i] - target[i]);
      out.store(m);
    });
  });
}

}  // namespace ldmpi::backend::cpu
