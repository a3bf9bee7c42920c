#pragma once
// The own kernels of the CUDA backend: how the kernel of an op is made. Convolutions and matrix products are the
// libraries'. What an op needs is said by backend/formula_lowering. All throw Error(Internal) for types they cannot
// serve.

#include "backend/cuda/host.h"
#include "backend/kernel.h"
#include "ir/op.h"

namespace ldmpi::backend::cuda {

/// The kernel of one node by the functions below. Throws Error(Internal) for an op that they do not serve.
[[nodiscard]] KernelPtr make_own_kernel(const ir::Op& op, const NodeTypes& types, Site& site);

// Pointwise.
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
[[nodiscard]] KernelPtr make_kernel(const ir::GroupNorm&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::GroupNormGrad&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::LayerNorm&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::LayerNormGrad&, const NodeTypes&, Site&);

// Sums.
[[nodiscard]] KernelPtr make_kernel(const ir::SumPixels&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::SumRows&, const NodeTypes&, Site&);

// Columns side by side, resizing, and the borders to canonical order.
[[nodiscard]] KernelPtr make_kernel(const ir::Concat&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Upsample&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::UpsampleGrad&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::FromCanonical&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::ToCanonical&, const NodeTypes&, Site&);

// Attention of any width up to 256, without a stored score matrix.
[[nodiscard]] KernelPtr make_kernel(const ir::Attention&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::AttentionGrad&, const NodeTypes&, Site&);

// Random numbers and the diffusion process.
[[nodiscard]] KernelPtr make_kernel(const ir::RandomTimesteps&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::RandomNormal&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Lookup&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Blend&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::DropCaption&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::Sinusoid&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::WeightedMse&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::WeightedMseGrad&, const NodeTypes&, Site&);

// The update.
[[nodiscard]] KernelPtr make_kernel(const ir::Accumulate&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::SumSquares&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::AdamW&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::UpdateState&, const NodeTypes&, Site&);
[[nodiscard]] KernelPtr make_kernel(const ir::ReadState&, const NodeTypes&, Site&);

// For kernels of the libraries.
struct Rows2d {
  void* data = nullptr;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t pitch = 0;
};
/// Enqueues a copy of as many rows as `to` has: columns that `from` lacks become zero, those that `to` lacks are left
/// out; `bias`, if given, is added to every row of `to`.
void fit_columns(const Rows2d& from, const Rows2d& to, const void* bias, DType type, Stream stream);

}  // namespace ldmpi::backend::cuda
