#pragma once
// From a node to the problem that a library is asked to solve, and back to a kernel of its plan.

#include <optional>
#include <variant>

#include "backend/cuda/blas.h"
#include "backend/cuda/cudnn.h"
#include "backend/kernel.h"

namespace ldmpi::backend::cuda {

using Problem = std::variant<std::monostate, ConvolutionProblem, AttentionProblem, MatMulProblem>;

/// What a library is asked for; nothing (monostate) where only the own kernel can serve the node. Throws
/// Error(NoDevice) for a convolution of pixels that lie at addresses tensor cores cannot read.
[[nodiscard]] Problem problem_of(const ir::Op& op, const NodeTypes& types, bool tf32);

/// Workspace that is left to cuDNN of what cuda_answer gives to attention.
[[nodiscard]] std::size_t attention_workspace(const AttentionProblem& problem);

/// Kernels of a plan, which they share; the handle must outlive them.
[[nodiscard]] KernelPtr convolution_kernel(const ir::Op& op, const NodeTypes& types,
                                           std::shared_ptr<const FusedPlan> plan, cudnnContext* handle, Stream stream);
[[nodiscard]] KernelPtr attention_kernel(bool gradient, std::shared_ptr<const FusedPlan> plan, cudnnContext* handle);
/// `wide` serves where all addresses are multiples of 16 bytes, `narrow` elsewhere; `wide` may be null.
[[nodiscard]] KernelPtr matmul_kernel(bool bias, std::shared_ptr<const BlasPlan> wide,
                                      std::shared_ptr<const BlasPlan> narrow);

}  // namespace ldmpi::backend::cuda
