#pragma once
// The door to cuDNN: convolutions and attention as graphs with the engines that run them.

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "backend/cuda/host.h"

struct cudnnContext;

namespace ldmpi::backend::cuda {

enum class ConvolutionPass : std::uint8_t { Forward, InputGrad, WeightGrad };

/// A convolution of channels-last images; channels and filters are multiples of 8. Operands of FusedPlan::run:
/// Forward x, w, y (, bias); InputGrad dy, w, dx; WeightGrad dy, x, dw.
struct ConvolutionProblem {
  ConvolutionPass pass = ConvolutionPass::Forward;
  DType dtype = DType::BF16;
  bool bias = false;
  std::int64_t samples = 0, channels = 0, height = 0, width = 0;    ///< of x
  std::int64_t filters = 0, out_height = 0, out_width = 0;          ///< of y
  std::int64_t kernel = 3, stride = 1, padding = 1;
  std::int64_t x_pitch = 0, y_pitch = 0;  ///< elements from pixel to pixel
  friend auto operator<=>(const ConvolutionProblem&, const ConvolutionProblem&) = default;
};

/// Attention as ir::Attention. Operands: forward q, k, v, o, lse; gradient do, q, k, v, o, lse, dq, dk, dv.
/// `pitches` in the same order, without lse.
struct AttentionProblem {
  bool gradient = false;
  DType dtype = DType::BF16;
  std::int64_t batch = 0, heads = 0, queries = 0, keys = 0, width = 0;
  std::array<std::int64_t, 8> pitches{};
  friend auto operator<=>(const AttentionProblem&, const AttentionProblem&) = default;
};

/// A graph with one engine or several to choose from.
class FusedPlan {
 public:
  virtual ~FusedPlan() = default;
  /// Enqueues the chosen engine, at first engine 0, on the stream of the handle.
  virtual void run(cudnnContext* handle, std::span<void* const> operands, void* workspace) const = 0;
  [[nodiscard]] virtual int engines() const = 0;
  virtual void choose(int engine) = 0;
  // Of the chosen engine.
  [[nodiscard]] virtual std::size_t workspace_bytes() const = 0;
  [[nodiscard]] virtual std::string name() const = 0;
};

/// Either a plan or why cuDNN has none.
struct PlanOrRefusal {
  std::shared_ptr<FusedPlan> plan;
  std::string refusal;
};

struct EngineRules {
  bool tf32 = false;           ///< f32 operands may be rounded for tensor cores
  bool deterministic = false;  ///< equal bits in every run
  std::size_t workspace_limit = 0;
  int most_engines = 1;  ///< to be built and left to choose from; 0: ask for support only, the plan cannot run
};

/// Makes plans, for the current device or for one that is described only. One thread at a time.
class Cudnn {
 public:
  explicit Cudnn(Stream stream);
  /// `properties`: cuDNN's JSON of a device, compute capability e.g. 90. Its plans cannot run.
  Cudnn(std::string_view properties, int capability);
  ~Cudnn();

  [[nodiscard]] PlanOrRefusal plan(const ConvolutionProblem& problem, const EngineRules& rules) const;
  [[nodiscard]] PlanOrRefusal plan(const AttentionProblem& problem, const EngineRules& rules) const;
  [[nodiscard]] cudnnContext* handle() const;
  [[nodiscard]] static std::string version();

 private:
  struct Target;
  std::unique_ptr<Target> target_;
};

}  // namespace ldmpi::backend::cuda
