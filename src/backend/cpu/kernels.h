#pragma once
// The kernels of the CPU backend: per op what it answers while lowering and how a kernel is made. Ops that need no
// kernel (sources, aliases, collectives, marks) are exec's. All throw Error(Internal) for types they cannot serve.

#include <concepts>

#include "backend/kernel.h"
#include "ir/op.h"

namespace ldmpi::backend::cpu {

/// Ops whose kernels read and write 16-bit floats themselves. The other kernels are f32 inside and out; a wrapper
/// converts their 16-bit operands through scratch.
template <typename O>
concept AnyFloat = (std::same_as<O, ir::Fill> || std::same_as<O, ir::Cast> || std::same_as<O, ir::Concat> ||
                    std::same_as<O, ir::Upsample> || std::same_as<O, ir::FromCanonical> ||
                    std::same_as<O, ir::ToCanonical> || std::same_as<O, ir::RandomTimesteps> ||
                    std::same_as<O, ir::RandomNormal> || std::same_as<O, ir::Lookup> || std::same_as<O, ir::Blend> ||
                    std::same_as<O, ir::MulAdd> || std::same_as<O, ir::DropCaption> || std::same_as<O, ir::Sinusoid> ||
                    std::same_as<O, ir::WeightedMse> || std::same_as<O, ir::WeightedMseGrad> ||
                    std::same_as<O, ir::Accumulate> || std::same_as<O, ir::SumSquares> || std::same_as<O, ir::AdamW> ||
                    std::same_as<O, ir::UpdateState> || std::same_as<O, ir::ReadState>);

// oneDNN.
[[nodiscard]] NodeAnswer answer(const ir::MatMul&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Conv2d&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Conv2dInputGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Conv2dWeightGrad&, const NodeTypes&);

[[nodiscard]] KernelPtr make_kernel(const ir::MatMul&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Conv2d&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Conv2dInputGrad&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Conv2dWeightGrad&, const NodeTypes&);

// Own.
[[nodiscard]] NodeAnswer answer(const ir::Fill&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Unary&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::UnaryGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Add&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Scale&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Cast&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Geglu&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::GegluGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::AddChannels&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::SumPixels&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::SumRows&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::GroupNorm&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::GroupNormGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::LayerNorm&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::LayerNormGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Attention&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::AttentionGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Concat&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Upsample&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::UpsampleGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::FromCanonical&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::ToCanonical&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::RandomTimesteps&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::RandomNormal&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Lookup&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Blend&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::MulAdd&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::DropCaption&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Sinusoid&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::WeightedMse&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::WeightedMseGrad&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::Accumulate&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::SumSquares&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::AdamW&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::UpdateState&, const NodeTypes&);
[[nodiscard]] NodeAnswer answer(const ir::ReadState&, const NodeTypes&);

[[nodiscard]] KernelPtr make_kernel(const ir::Fill&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Unary&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::UnaryGrad&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Add&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Scale&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Cast&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Geglu&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::GegluGrad&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::AddChannels&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::SumPixels&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::SumRows&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::GroupNorm&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::GroupNormGrad&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::LayerNorm&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::LayerNormGrad&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Attention&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::AttentionGrad&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Concat&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Upsample&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::UpsampleGrad&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::FromCanonical&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::ToCanonical&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::RandomTimesteps&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::RandomNormal&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Lookup&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Blend&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::MulAdd&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::DropCaption&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Sinusoid&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::WeightedMse&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::WeightedMseGrad&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::Accumulate&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::SumSquares&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::AdamW&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::UpdateState&, const NodeTypes&);
[[nodiscard]] KernelPtr make_kernel(const ir::ReadState&, const NodeTypes&);

}  // namespace ldmpi::backend::cpu
