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

// Columns side by side, resizing, and the borders to canonical order.
[[nodiscard]] NodeAnswer answer(const ir::Concat&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Upsample&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::UpsampleGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::FromCanonical&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::ToCanonical&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Concat&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Upsample&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::UpsampleGrad&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::FromCanonical&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::ToCanonical&, const NodeTypes&, Site&);

// Attention of any width up to 256, without a stored score matrix.
[[nodiscard]] NodeAnswer answer(const ir::Attention&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::AttentionGrad&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Attention&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::AttentionGrad&, const NodeTypes&, Site&);

// Random numbers and the diffusion process.
[[nodiscard]] NodeAnswer answer(const ir::RandomTimesteps&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::RandomNormal&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Lookup&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Blend&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::DropCaption&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Sinusoid&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::WeightedMse&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::WeightedMseGrad&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::RandomTimesteps&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::RandomNormal&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Lookup&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Blend&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::DropCaption&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Sinusoid&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::WeightedMse&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::WeightedMseGrad&, const NodeTypes&, Site&);

// The update.
[[nodiscard]] NodeAnswer answer(const ir::Accumulate&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::SumSquares&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::AdamW&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::UpdateState&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::ReadState&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Accumulate&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::SumSquares&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::AdamW&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::UpdateState&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::ReadState&, const NodeTypes&, Site&);

}  // namespace ldmpi::backend::cuda
