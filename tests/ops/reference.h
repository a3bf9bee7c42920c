#pragma once
// Naive implementations of the ops in double precision: loops that follow the formulas of src/ir/ops word by word.

#include "tensor.h"

namespace ldmpi::test {

/// The outputs of an op with the given output types; then, for an op that updates inputs in place, their new contents.
/// Not for gradient ops: these are compared with differences of the forward op.
[[nodiscard]] std::vector<Array> reference(const ir::Op& op, const Tensors& inputs, const ir::Types& outputs);

namespace naive {

using Outputs = std::vector<Array>;
Outputs compute(const ir::Fill&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Unary&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Add&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Scale&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Cast&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Geglu&, const Tensors&, const ir::Types&);
Outputs compute(const ir::AddChannels&, const Tensors&, const ir::Types&);
Outputs compute(const ir::SumPixels&, const Tensors&, const ir::Types&);
Outputs compute(const ir::SumRows&, const Tensors&, const ir::Types&);
Outputs compute(const ir::MatMul&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Conv2d&, const Tensors&, const ir::Types&);
Outputs compute(const ir::GroupNorm&, const Tensors&, const ir::Types&);
Outputs compute(const ir::LayerNorm&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Attention&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Concat&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Upsample&, const Tensors&, const ir::Types&);
Outputs compute(const ir::FromCanonical&, const Tensors&, const ir::Types&);
Outputs compute(const ir::ToCanonical&, const Tensors&, const ir::Types&);
Outputs compute(const ir::RandomTimesteps&, const Tensors&, const ir::Types&);
Outputs compute(const ir::RandomNormal&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Lookup&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Blend&, const Tensors&, const ir::Types&);
Outputs compute(const ir::MulAdd&, const Tensors&, const ir::Types&);
Outputs compute(const ir::DropCaption&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Sinusoid&, const Tensors&, const ir::Types&);
Outputs compute(const ir::WeightedMse&, const Tensors&, const ir::Types&);
Outputs compute(const ir::Accumulate&, const Tensors&, const ir::Types&);
Outputs compute(const ir::SumSquares&, const Tensors&, const ir::Types&);
Outputs compute(const ir::AdamW&, const Tensors&, const ir::Types&);
Outputs compute(const ir::UpdateState&, const Tensors&, const ir::Types&);
Outputs compute(const ir::ReadState&, const Tensors&, const ir::Types&);

}  // namespace naive
}  // namespace ldmpi::test
