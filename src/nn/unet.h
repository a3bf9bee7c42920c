#pragma once
// The U-Net of Stable Diffusion 1.x, 2.x and XL as a function that writes graph.

#include <map>
#include <string>

#include "nn/parameter_table.h"

namespace ldmpi::nn {

struct UnetInputs {
  ir::Value sample;       ///< [N,C,H,W] of the compute dtype
  ir::Value timesteps;    ///< i64 or f32 [N]
  ir::Value context;      ///< text, [N*T,D] of the compute dtype; T is context rows / N
  ir::Value text_embeds;  ///< with text_time: pooled text [N,P] of the compute dtype, else no value
  ir::Value time_ids;     ///< with text_time: f32 [N,6], else no value
};

struct UnetOutputs {
  ir::Value prediction;  ///< [N,out_channels,H,W] of the compute dtype
  /// Values on the way, named as diffusers' modules: conv_in, time_embedding, down_blocks.i, mid_block, up_blocks.i,
  /// conv_norm_out (before its SiLU).
  std::map<std::string, ir::Value> activations;
};

/// Appends the U-Net's forward pass. Any H and W of at least 1: odd sizes are halved upwards, and upsampling goes to
/// the size of the skip. Throws Error(BadConfig) where an input does not fit the configuration.
[[nodiscard]] UnetOutputs build_unet(const ir::Builder& b, const UnetConfig& config, const ParameterValues& parameters,
                                     const UnetInputs& inputs);

}  // namespace ldmpi::nn
