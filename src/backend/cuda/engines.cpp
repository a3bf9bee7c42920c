#include "backend/cuda/engines.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <thread>
#include <vector>

#include "backend/cuda/library_kernels.h"
#include "backend/cuda/status.h"
#include "backend/cuda_scratch.h"
#include "base/check.h"
#include "base/handle.h"

namespace ldmpi::backend::cuda {
namespace {

constexpr int kEnginesToTime = 8;
constexpr int kTimings = 3;

using Event = Handle<cudaEvent_t, [](cudaEvent_t event) { warn_cuda(cudaEventDestroy(event), "free an event"); }>;
using Buffer = Handle<void*, [](void* memory) { warn_cuda(cudaFree(memory), "free memory"); }>;

Event make_event() {
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreate(&event), "make an event");
  return Event(event);
}

/// Device memory with small numbers of every type in it.
Buffer make_operands(std::size_t bytes) {
  void* memory = nullptr;
  check_cuda(cudaMalloc(&memory, bytes), fmt::format("allocate {} bytes to time kernels in", bytes));
  Buffer buffer(memory);
  check_cuda(cudaMemset(memory, 0x3c, bytes), "fill memory");
  return buffer;
}

/// Calls run() for every engine of a plan and leaves the fastest one chosen. An engine that fails is passed over.
template <typename Plan, typename Run>
void choose_fastest(Plan& plan, Stream stream, const Run& run) {
  const Event begin = make_event();
  const Event end = make_event();
  int best = 0;
  float least = std::numeric_limits<float>::infinity();
  for (int engine = 0; engine < plan.engines(); ++engine) {
    plan.choose(engine);
    try {
      run();
      for (int i = 0; i < kTimings; ++i) {
        check_cuda(cudaEventRecord(begin.get(), stream), "time a kernel");
        run();
        check_cuda(cudaEventRecord(end.get(), stream), "time a kernel");
        check_cuda(cudaEventSynchronize(end.get()), "time a kernel");
        float milliseconds = 0;
        check_cuda(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()), "time a kernel");
        if (milliseconds >= least) continue;
        least = milliseconds;
        best = engine;
      }
    } catch (const Error& error) {
      if (error.code() != Exit::Internal) throw;
    }
  }
  plan.choose(best);
}

std::size_t bytes_of(std::int64_t elements, DType type) {
  return static_cast<std::size_t>(round_up(elements * static_cast<std::int64_t>(size_of(type)), 256));
}

struct ConvolutionBytes {
  std::size_t x, y, w, bias;

  explicit ConvolutionBytes(const ConvolutionProblem& p)
      : x(bytes_of(p.samples * p.height * p.width * p.x_pitch, p.dtype)),
        y(bytes_of(p.samples * p.out_height * p.out_width * p.y_pitch, p.dtype)),
        w(bytes_of(p.filters * p.channels * p.kernel * p.kernel, p.dtype)),
        bias(bytes_of(p.filters, p.dtype)) {}
  [[nodiscard]] std::size_t all() const { return x + y + w + bias; }
};

struct ProductBytes {
  std::size_t a, b, y, bias;

  explicit ProductBytes(const MatMulProblem& p)
      : a(bytes_of((p.transpose_a ? p.inner : p.rows) * p.a_pitch, p.dtype)),
        b(bytes_of((p.transpose_b ? p.columns : p.inner) * p.b_pitch, p.dtype)),
        y(bytes_of(p.rows * p.y_pitch, p.dtype)),
        bias(bytes_of(p.columns, p.dtype)) {}
  [[nodiscard]] std::size_t all() const { return a + b + y + bias; }
};

void run_once(const ConvolutionProblem& p, const FusedPlan& plan, cudnnContext* handle, std::byte* at) {
  const ConvolutionBytes bytes(p);
  std::byte* x = at;
  std::byte* y = x + bytes.x;
  std::byte* w = y + bytes.y;
  std::byte* bias = w + bytes.w;
  std::byte* workspace = bias + bytes.bias;
  switch (p.pass) {
    case ConvolutionPass::Forward:
      return plan.run(handle, std::array<void*, 4>{x, w, y, bias}, workspace);
    case ConvolutionPass::InputGrad: return plan.run(handle, std::array<void*, 3>{y, w, x}, workspace);
    case ConvolutionPass::WeightGrad: return plan.run(handle, std::array<void*, 3>{y, x, w}, workspace);
  }
}

void run_once(const MatMulProblem& p, const BlasPlan& plan, std::byte* at) {
  const ProductBytes bytes(p);
  std::byte* b = at + bytes.a;
  std::byte* y = b + bytes.b;
  std::byte* bias = y + bytes.y;
  plan.run(at, b, bias, y, bias + bytes.bias);
}

}  // namespace

Engines::Engines(Stream stream, EngineOptions options)
    : stream_(stream),
      options_(options),
      convolution_rules_{.tf32 = options.tf32,
                         .deterministic = options.deterministic,
                         .workspace_limit = static_cast<std::size_t>(scratch::kConvolution),
                         .most_engines = options.tune ? kEnginesToTime : 1},
      cudnn_(stream),
      blas_(stream) {}

const PlanOrRefusal& Engines::find(const ConvolutionProblem& problem) {
  const auto found = convolutions_.find(problem);
  if (found != convolutions_.end()) return found->second;
  return convolutions_[problem] = cudnn_.plan(problem, convolution_rules_);
}

const PlanOrRefusal& Engines::find(const AttentionProblem& problem) {
  const auto found = attentions_.find(problem);
  if (found != attentions_.end()) return found->second;
  return attentions_[problem] = cudnn_.plan(problem, attention_rules(problem));
}

EngineRules Engines::attention_rules(const AttentionProblem& problem) const {
  return {.deterministic = options_.deterministic, .workspace_limit = attention_workspace(problem)};
}

const std::shared_ptr<BlasPlan>& Engines::find(const MatMulProblem& problem) {
  auto& plan = products_[problem];
  if (!plan)
    plan = blas_.plan(problem, static_cast<std::size_t>(scratch::kMatMul), options_.tune ? kEnginesToTime : 1);
  return plan;
}

void Engines::prepare(std::span<const NodeToMake> nodes) {
  std::set<ConvolutionProblem> convolutions;
  std::set<AttentionProblem> attentions;
  for (const auto& node : nodes) {
    const auto problem = problem_of(*node.op, node.types, options_.tf32);
    if (const auto* convolution = std::get_if<ConvolutionProblem>(&problem)) {
      if (!convolutions_.contains(*convolution)) convolutions.insert(*convolution);
    } else if (const auto* attention = std::get_if<AttentionProblem>(&problem)) {
      if (!attentions_.contains(*attention)) attentions.insert(*attention);
    } else if (const auto* product = std::get_if<MatMulProblem>(&problem)) {
      (void)find(*product);
    }
  }
  build_in_threads({convolutions.begin(), convolutions.end()}, {attentions.begin(), attentions.end()});
  if (options_.tune) tune();
}

// Some engines are compiled when their plan is made, half a second and more each.
void Engines::build_in_threads(const std::vector<ConvolutionProblem>& convolutions,
                               const std::vector<AttentionProblem>& attentions) {
  const std::size_t count = convolutions.size() + attentions.size();
  std::vector<PlanOrRefusal> made(count);
  std::vector<std::exception_ptr> faults(count);
  std::atomic<std::size_t> next = 0;
  int device = 0;
  check_cuda(cudaGetDevice(&device), "ask for the device");
  {
    std::vector<std::jthread> threads;
    const std::size_t most = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 16);
    for (std::size_t t = 0; t < std::min(most, count); ++t)
      threads.emplace_back([&] {
        for (std::size_t i = next++; i < count; i = next++) try {
            check_cuda(cudaSetDevice(device), "take the device");
            const Cudnn cudnn(stream_);
            made[i] = i < convolutions.size()
                          ? cudnn.plan(convolutions[i], convolution_rules_)
                          : cudnn.plan(attentions[i - convolutions.size()],
                                       attention_rules(attentions[i - convolutions.size()]));
          } catch (...) {
            faults[i] = std::current_exception();
          }
      });
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (faults[i]) std::rethrow_exception(faults[i]);
    if (i < convolutions.size())
      convolutions_[convolutions[i]] = std::move(made[i]);
    else
      attentions_[attentions[i - convolutions.size()]] = std::move(made[i]);
  }
}

void Engines::tune() {
  std::size_t most = 0;
  for (const auto& [problem, made] : convolutions_)
    if (made.plan && made.plan->engines() > 1)
      most = std::max(most, ConvolutionBytes(problem).all() + convolution_rules_.workspace_limit);
  for (const auto& [problem, plan] : products_)
    if (plan->engines() > 1)
      most = std::max(most, ProductBytes(problem).all() + static_cast<std::size_t>(scratch::kMatMul));
  if (most == 0) return;
  const Buffer operands = make_operands(most);
  auto* at = static_cast<std::byte*>(operands.get());
  for (const auto& [problem, made] : convolutions_)
    if (made.plan && made.plan->engines() > 1 && !tuned_.contains(made.plan.get())) {
      choose_fastest(*made.plan, stream_, [&] { run_once(problem, *made.plan, cudnn_.handle(), at); });
      tuned_.insert(made.plan.get());
    }
  for (const auto& [problem, plan] : products_)
    if (plan->engines() > 1 && !tuned_.contains(plan.get())) {
      choose_fastest(*plan, stream_, [&] { run_once(problem, *plan, at); });
      tuned_.insert(plan.get());
    }
}

KernelPtr Engines::make_kernel(const ir::Op& op, const NodeTypes& types) {
  const auto problem = problem_of(op, types, options_.tf32);
  if (const auto* convolution = std::get_if<ConvolutionProblem>(&problem)) {
    const auto& made = find(*convolution);
    require(made.plan != nullptr, Exit::NoDevice,
            "cuDNN {} has no engine for a convolution {}->{} channels, kernel {}, stride {}, {}x{} pixels in {}: {}",
            Cudnn::version(), convolution->channels, convolution->filters, convolution->kernel, convolution->stride,
            convolution->height, convolution->width, name_of(convolution->dtype), made.refusal);
    return convolution_kernel(op, types, made.plan, cudnn_.handle(), stream_);
  }
  if (const auto* attention = std::get_if<AttentionProblem>(&problem)) {
    const auto& made = find(*attention);
    return made.plan ? attention_kernel(attention->gradient, made.plan, cudnn_.handle()) : nullptr;
  }
  if (const auto* product = std::get_if<MatMulProblem>(&problem)) {
    const auto wide = product->wide ? find(*product) : nullptr;
    auto any = *product;
    any.wide = false;
    return matmul_kernel(product->bias, wide, find(any));
  }
  return nullptr;
}

}  // namespace ldmpi::backend::cuda
