#pragma once
// The engines of cuDNN and cuBLASLt on one device: each distinct problem of the programs is prepared once, tuned, and
// shared by the nodes that pose it.

#include <map>
#include <memory>
#include <set>
#include <span>
#include <vector>

#include "backend/cuda/blas.h"
#include "backend/cuda/cudnn.h"
#include "backend/kernel.h"

namespace ldmpi::backend::cuda {

struct EngineOptions {
  bool tf32 = false;           ///< f32 products on tensor cores, rounded to 10 bits of mantissa
  bool deterministic = false;  ///< equal bits in every run
  bool tune = true;            ///< time the engines that the heuristics suggest, instead of taking the first
};

class Engines {
 public:
  /// For the current device; everything runs on `stream`, which must outlive the engines and their kernels.
  Engines(Stream stream, EngineOptions options);

  /// Builds the plans of all problems that these nodes pose, in parallel threads, then times them one by one in
  /// device memory that is free again on return.
  void prepare(std::span<const NodeToMake> nodes);
  /// The library's kernel of a node; null where the own kernel serves it. Throws Error(NoDevice) for a convolution
  /// that cuDNN refuses. The engines must outlive the kernel.
  [[nodiscard]] KernelPtr make_kernel(const ir::Op& op, const NodeTypes& types);

 private:
  void build_in_threads(const std::vector<ConvolutionProblem>& convolutions,
                        const std::vector<AttentionProblem>& attentions);
  void tune();
  [[nodiscard]] EngineRules attention_rules(const AttentionProblem& problem) const;
  // Made where prepare() has not seen them.
  const PlanOrRefusal& find(const ConvolutionProblem& problem);
  const PlanOrRefusal& find(const AttentionProblem& problem);
  const std::shared_ptr<BlasPlan>& find(const MatMulProblem& problem);

  Stream stream_;
  EngineOptions options_;
  EngineRules convolution_rules_;
  Cudnn cudnn_;
  Blas blas_;
  std::map<ConvolutionProblem, PlanOrRefusal> convolutions_;
  std::map<AttentionProblem, PlanOrRefusal> attentions_;
  std::map<MatMulProblem, std::shared_ptr<BlasPlan>> products_;
  std::set<const void*> tuned_;  // plans
};

}  // namespace ldmpi::backend::cuda
