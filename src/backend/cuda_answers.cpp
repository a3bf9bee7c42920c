#include "backend/cuda_answers.h"

#include "backend/cuda_scratch.h"
#include "base/check.h"

namespace ldmpi::backend {
namespace {

constexpr NodeAnswer kDense{};
constexpr NodeAnswer kAnywhere{.pitched_inputs = true, .pitched_outputs = true};
constexpr NodeAnswer kInPlace{.pitched_inputs = true, .pitched_outputs = true, .overwrites_first = true};

NodeAnswer with(NodeAnswer answer, const Scratch& scratch) {
  answer.workspace_bytes = scratch.used();
  return answer;
}

// Pointwise, shape, random numbers, the optimizer: no workspace.
template <typename O>
concept Anywhere = std::same_as<O, ir::Fill> || std::same_as<O, ir::Cast> || std::same_as<O, ir::Geglu> ||
                   std::same_as<O, ir::GegluGrad> || std::same_as<O, ir::Concat> || std::same_as<O, ir::Upsample> ||
                   std::same_as<O, ir::UpsampleGrad> || std::same_as<O, ir::FromCanonical> ||
                   std::same_as<O, ir::ToCanonical> || std::same_as<O, ir::DropCaption>;
template <typename O>
concept InPlace = std::same_as<O, ir::Unary> || std::same_as<O, ir::UnaryGrad> || std::same_as<O, ir::Add> ||
                  std::same_as<O, ir::Scale> || std::same_as<O, ir::AddChannels> || std::same_as<O, ir::MulAdd> ||
                  std::same_as<O, ir::LayerNorm>;
template <typename O>
concept PitchedOutput = std::same_as<O, ir::RandomNormal> || std::same_as<O, ir::Sinusoid>;
template <typename O>
concept Dense = std::same_as<O, ir::RandomTimesteps> || std::same_as<O, ir::Lookup> || std::same_as<O, ir::Blend> ||
                std::same_as<O, ir::WeightedMseGrad> || std::same_as<O, ir::Accumulate> ||
                std::same_as<O, ir::AdamW> || std::same_as<O, ir::UpdateState> || std::same_as<O, ir::ReadState>;

template <Anywhere O>
NodeAnswer answer(const O&, const NodeTypes&) {
  return kAnywhere;
}
template <InPlace O>
NodeAnswer answer(const O&, const NodeTypes&) {
  return kInPlace;
}
template <PitchedOutput O>
NodeAnswer answer(const O&, const NodeTypes&) {
  return {.pitched_outputs = true};
}
template <Dense O>
NodeAnswer answer(const O&, const NodeTypes&) {
  return kDense;
}

NodeAnswer group_norm(const ir::GroupNorm& op, const ir::Type& x, bool gradient) {
  const std::int64_t samples = x.shape[0];
  const std::int64_t channels = x.columns();
  Scratch scratch;
  scratch.take<float>(samples * scratch::norm_pieces(x.rows() / samples).count * 2 * channels);
  if (gradient) {
    scratch.take<float>(samples * 2 * channels);
    scratch.take<float>(samples * op.groups * 2);
  }
  return with(kInPlace, scratch);
}
NodeAnswer answer(const ir::GroupNorm& op, const NodeTypes& types) {
  return group_norm(op, types.inputs.at(0), false);
}
NodeAnswer answer(const ir::GroupNormGrad& op, const NodeTypes& types) {
  return group_norm(op.forward, types.inputs.at(1), true);
}

NodeAnswer answer(const ir::LayerNormGrad&, const NodeTypes& types) {
  const ir::Type& x = types.inputs.at(1);
  Scratch scratch;
  scratch.take<float>(scratch::row_pieces(x.rows()).count * 2 * x.columns());
  return with(kInPlace, scratch);
}

NodeAnswer column_sums(const ir::Type& x, std::int64_t runs) {
  Scratch scratch;
  scratch.take<float>(runs * scratch::sum_pieces(x.rows() / runs).count * x.columns());
  return with(kAnywhere, scratch);
}
NodeAnswer answer(const ir::SumRows&, const NodeTypes& types) {
  return column_sums(types.inputs.at(0), 1);
}
NodeAnswer answer(const ir::SumPixels&, const NodeTypes& types) {
  return column_sums(types.inputs.at(0), types.inputs.at(0).shape[0]);
}

NodeAnswer answer(const ir::WeightedMse&, const NodeTypes& types) {
  const ir::Type& x = types.inputs.at(0);
  const std::int64_t samples = x.shape[0];
  Scratch scratch;
  scratch.take<double>(samples * scratch::loss_pieces(x.count() / samples).count);
  return with(kDense, scratch);
}

NodeAnswer answer(const ir::SumSquares& op, const NodeTypes&) {
  std::int64_t pieces = 0;
  for (const auto& range : op.ranges) pieces += ceil_div(range.end - range.begin, scratch::kUpdatePiece);
  Scratch scratch;
  scratch.take<double>(pieces);
  return with(kDense, scratch);
}

NodeAnswer answer(const ir::Attention&, const NodeTypes& types) {
  Scratch scratch;
  if (is_half(types.inputs.at(0).dtype)) scratch.take<std::byte>(scratch::kAttention);
  return with(kAnywhere, scratch);
}
NodeAnswer answer(const ir::AttentionGrad& op, const NodeTypes& types) {
  const ir::Type& q = types.inputs.at(1);
  Scratch scratch;
  scratch.take<float>(op.forward.heads * q.rows());  // the row sums of do * o
  if (fused_attention_may_serve(op.forward, q)) {
    scratch.take<float>(q.count());  // dq
    scratch.take<std::byte>(scratch::kAttention);
  }
  return with(kAnywhere, scratch);
}

NodeAnswer answer(const ir::MatMul&, const NodeTypes&) {
  Scratch scratch;
  scratch.take<std::byte>(scratch::kMatMul);
  return with(kAnywhere, scratch);
}

NodeAnswer convolution(const ir::Type& x, const ir::Type& y) {
  Scratch scratch;
  for (const auto* image : {&x, &y})
    if (image->columns() % scratch::kChannels != 0)
      scratch.take<std::byte>(image->rows() * round_up(image->columns(), scratch::kChannels) *
                              static_cast<std::int64_t>(size_of(image->dtype)));
  scratch.take<std::byte>(scratch::kConvolution);
  return with(kAnywhere, scratch);
}
NodeAnswer answer(const ir::Conv2d&, const NodeTypes& types) {
  return convolution(types.inputs.at(0), types.outputs.at(0));
}
NodeAnswer answer(const ir::Conv2dInputGrad&, const NodeTypes& types) {
  return convolution(types.outputs.at(0), types.inputs.at(0));
}
NodeAnswer answer(const ir::Conv2dWeightGrad&, const NodeTypes& types) {
  return convolution(types.inputs.at(1), types.inputs.at(0));
}

}  // namespace

NodeAnswer cuda_answer(const ir::Op& op, const NodeTypes& types) {
  return std::visit(
      [&]<typename O>(const O& node) -> NodeAnswer {
        if constexpr (ir::WithoutKernel<O>) {
          fail(Exit::Internal, "op '{}' has no kernel: exec serves it", O::name);
        } else {
          return answer(node, types);
        }
      },
      op);
}

bool fused_attention_may_serve(const ir::Attention& op, const ir::Type& q) {
  const std::int64_t width = q.columns() / op.heads;
  return is_half(q.dtype) && width % 8 == 0 && width <= 256;
}

}  // namespace ldmpi::backend
