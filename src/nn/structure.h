#pragma once
// The modules of a U-Net in the order of the forward pass: the one description that the parameter table and the graph
// are both written from.

#include <cstdint>
#include <string>
#include <vector>

#include "nn/unet_config.h"

namespace ldmpi::nn {

/// Two 3x3 convolutions with the time embedding added between; a 1x1 shortcut where the channels change.
struct ResnetSpec {
  std::string prefix;  ///< "down_blocks.0.resnets.1"
  std::int64_t in = 0;
  std::int64_t out = 0;
};

/// `depth` blocks of self-attention, cross-attention and feed-forward on the pixels of an image.
struct TransformerSpec {
  std::string prefix;  ///< "down_blocks.0.attentions.1"
  std::int64_t channels = 0;
  std::int64_t heads = 0;
  std::int64_t depth = 0;

  /// "down_blocks.0.attentions.1.transformer_blocks.<t>"
  [[nodiscard]] std::string block(std::int64_t t) const;
};

/// One level. Down and up blocks: resnet, then its attention where there is one, and so on; then `resampler`.
/// Mid block: resnet 0, attention 0, resnet 1.
struct BlockSpec {
  std::string prefix;  ///< "down_blocks.0", "mid_block"
  std::vector<ResnetSpec> resnets;
  std::vector<TransformerSpec> attentions;  ///< empty, or one per resnet (mid block: one)
  std::string resampler;                    ///< prefix of the down- or upsampling convolution; empty: none
};

struct UnetStructure {
  std::vector<BlockSpec> down;  ///< outermost first
  BlockSpec mid;
  std::vector<BlockSpec> up;  ///< innermost first

  /// In the order of the forward pass.
  [[nodiscard]] std::vector<const BlockSpec*> blocks() const;
};

[[nodiscard]] UnetStructure unet_structure(const UnetConfig& config);

}  // namespace ldmpi::nn
