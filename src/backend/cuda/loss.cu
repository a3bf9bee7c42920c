// The weighted squared error and its gradient.

#include "backend/cuda/collective.cuh"
#include "backend/cuda/each.cuh"
#include "backend/cuda/kernels.h"

namespace ldmpi::backend::cuda {
namespace {

/// Dense samples of equal size, in pieces.
struct Samples {
  std::int64_t count;
  std::int64_t size;  ///< elements of a sample
  Pieces pieces;

  explicit Samples(const ir::Type& type) : count(type.shape[0]), size(type.count() / count), pieces(scratch::loss_pieces(size)) {}
  [[nodiscard]] std::int64_t parts() const { return count * pieces.count; }
};

/// Piece blockIdx.x of sample blockIdx.y: its share of the sum, in f64.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    piece_errors(const T* prediction, const float* target, const float* weights, Samples samples, double* parts) {
  const std::int64_t first = blockIdx.x * samples.pieces.size;
  const std::int64_t rest = samples.size - first;
  const std::int64_t begin = blockIdx.y * samples.size + first;
  const std::int64_t end = begin + (rest < samples.pieces.size ? rest : samples.pieces.size);
  double sum = 0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
    const double d = static_cast<double>(to_float(prediction[i])) - static_cast<double>(target[i]);
    sum += d * d;
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0)
    parts[blockIdx.y * samples.pieces.count + blockIdx.x] = static_cast<double>(weights[blockIdx.y]) * sum;
}

__global__ void __launch_bounds__(kThreads)
    mean_of_parts(const double* parts, std::int64_t count, double elements, float* loss) {
  double sum = 0;
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) sum += parts[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *loss = static_cast<float>(sum / elements);
}

/// Row n: 2 dloss weight[n] / elements * (prediction - target).
template <typename T>
struct SlopeBody {
  static constexpr int kWidth = kWide<T>;
  const float* dloss;
  const T* prediction;
  const float* target;
  const float* weights;
  T* slope;
  std::int64_t size;
  double elements;
  template <int N>
  __device__ void at(std::int64_t n, std::int64_t i) const {
    const auto factor =
        static_cast<float>(2.0 * static_cast<double>(*dloss) / elements * static_cast<double>(weights[n]));
    auto values = load<N>(prediction + n * size + i);
    const auto wanted = load<N>(target + n * size + i);
    for (int k = 0; k < N; ++k) values.at[k] = factor * (values.at[k] - wanted.at[k]);
    store(slope + n * size + i, values);
  }
};

}  // namespace

KernelPtr make_kernel(const ir::WeightedMse&, const NodeTypes& types, Site& site) {
  return with_float(types.inputs[0].dtype, [&]<typename T>(T) -> KernelPtr {
    return own_kernel([samples = Samples(types.inputs[0]), stream = site.stream()](const KernelArgs& args) {
      auto* parts = static_cast<double*>(args.workspace);
      const std::size_t shared = kThreads * sizeof(double);
      launch(piece_errors<T>,
             {dim3(static_cast<unsigned>(samples.pieces.count), static_cast<unsigned>(samples.count)), dim3(kThreads),
              shared},
             stream, args.in<T>(0), args.in<float>(1), args.in<float>(2), samples, parts);
      launch(mean_of_parts, {dim3(1), dim3(kThreads), shared}, stream, parts, samples.parts(),
             static_cast<double>(samples.count * samples.size), args.out<float>(0));
    });
  });
}

KernelPtr make_kernel(const ir::WeightedMseGrad&, const NodeTypes& types, Site& site) {
  const Samples samples(types.inputs[1]);
  return with_float(types.inputs[1].dtype, [&]<typename T>(T) -> KernelPtr {
    return own_kernel([=, stream = site.stream()](const KernelArgs& args) {
      const bool wide = samples.size % kWide<T> == 0 && aligned({args.inputs[1], args.inputs[2], args.outputs[0]});
      each(samples.count, samples.size, wide, stream,
           SlopeBody<T>{args.in<float>(0), args.in<T>(1), args.in<float>(2), args.in<float>(3), args.out<T>(0),
                        samples.size, static_cast<double>(samples.count * samples.size)});
    });
  });
}

}  // namespace ldmpi::backend::cuda
