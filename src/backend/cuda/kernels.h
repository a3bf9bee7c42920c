#pragma once
// The own kernels of the CUDA backend: per op what it answers while lowering and how a kernel is made. Convolutions and
// matrix products are the libraries'. All throw Error(Internal) for types they cannot serve.

#include "backend/cuda/host.h"
#include "backend/kernel.h"
#include "ir/op.h"

namespace ldmpi::backend::cuda {

/// The kernel of one node, or what it answers, by the functions below. Throw Error(Internal) for an op that another
/// room serves.
[[nodiscard]] NodeAnswer own_answer(const ir::Op& op, const NodeTypes& types);
[[nodiscard]] KernelPtr make_own_kernel(const ir::Op& op, const NodeTypes& types, Site& site);

// Pointwise.
[[nodiscard]] NodeAnswer answer(const ir::Fill&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Unary&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::UnaryGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Add&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Scale&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Cast&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Geglu&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::GegluGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::AddChannels&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::MulAdd&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Fill&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Unary&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::UnaryGrad&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Add&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Scale&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Cast&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Geglu&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::GegluGrad&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::AddChannels&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::MulAdd&, const NodeTypes&, Site&);

// Normalisations.
[[nodiscard]] NodeAnswer answer(const ir::GroupNorm&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::GroupNormGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::LayerNorm&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::LayerNormGrad&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::GroupNorm&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::GroupNormGrad&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::LayerNorm&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::LayerNormGrad&, const NodeTypes&, Site&);

// Sums.
[[nodiscard]] NodeAnswer answer(const ir::SumPixels&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::SumRows&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::SumPixels&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::SumRows&, const NodeTypes&, Site&);

}  // namespace ldmpi::backend::cuda
