#pragma once
// The list of ops: the only central place of ir/. Everything generic is derived from it by std::visit.

#include <variant>

#include "ir/ops/attention.h"
#include "ir/ops/collective.h"
#include "ir/ops/conv2d.h"
#include "ir/ops/diffusion.h"
#include "ir/ops/matmul.h"
#include "ir/ops/norm.h"
#include "ir/ops/optimizer.h"
#include "ir/ops/pointwise.h"
#include "ir/ops/shape.h"
#include "ir/ops/sources.h"

namespace ldmpi::ir {

using Op = std::variant<Input, Persistent, Constant, Fill,                                         //
                        Unary, UnaryGrad, Add, Scale, Cast, Geglu, GegluGrad, AddChannels,         //
                        SumPixels, SumRows, MatMul, Conv2d, Conv2dInputGrad, Conv2dWeightGrad,     //
                        GroupNorm, GroupNormGrad, LayerNorm, LayerNormGrad, Attention,             //
                        AttentionGrad, Reshape, Split, Concat, Upsample, UpsampleGrad,             //
                        FromCanonical, ToCanonical, RandomTimesteps, RandomNormal, Lookup, Blend,  //
                        MulAdd, DropCaption, Sinusoid, WeightedMse, WeightedMseGrad, Accumulate,   //
                        SumSquares, AdamW, UpdateState, ReadState, StartCollective,                //
                        WaitCollective, SumRanks, Mark>;

template <typename O>
concept NotDifferentiable = requires {
  requires !O::differentiable;
};

/// Memory, views of it, and talk with other ranks or the host: exec serves these ops, no backend has a kernel for them.
template <typename O>
concept WithoutKernel = requires {
  requires !O::has_kernel;
};

template <typename O>
concept WritesInPlace = requires(const O& op) {
  op.writes();
};

[[nodiscard]] std::string_view name_of(const Op& op);
/// An input, persistent memory or a constant: there before the step begins, computed by nobody.
[[nodiscard]] bool is_source(const Op& op);
/// Whether a backend runs the op; false for those that are WithoutKernel.
[[nodiscard]] bool needs_kernel(const Op& op);
/// Indices of the inputs that the op updates in place.
[[nodiscard]] std::vector<int> writes_of(const Op& op);
/// "{groups=32, epsilon=1e-05}", empty for an op without attributes.
[[nodiscard]] std::string attributes_of(const Op& op);

}  // namespace ldmpi::ir
