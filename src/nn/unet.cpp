#include "nn/unet.h"

#include <fmt/format.h>

#include "base/check.h"
#include "nn/layers.h"

namespace ldmpi::nn {

namespace {

void check_inputs(const ir::Builder& b, const UnetConfig& config, const UnetInputs& inputs) {
  const auto& sample = b.type(inputs.sample).shape;
  require(sample.rank() == 4 && sample[1] == config.in_channels, Exit::BadConfig,
          "the U-Net takes {} channels (in_channels), the latents are {}", config.in_channels, sample.text());
  const auto& context = b.type(inputs.context).shape;
  require(context.rank() == 2 && context[1] == config.cross_attention_dim, Exit::BadConfig,
          "the U-Net takes text of width {} (cross_attention_dim), the text embeddings are {}",
          config.cross_attention_dim, context.text());
  require(context[0] > 0 && context[0] % sample[0] == 0, Exit::BadConfig,
          "{} text tokens do not divide over {} samples", context[0], sample[0]);
  if (!config.text_time) return;
  require(inputs.text_embeds && inputs.time_ids, Exit::BadConfig,
          "the U-Net needs pooled text and six size numbers per sample (addition_embed_type text_time): text_embeds "
          "and time_ids are missing");
  const auto& pooled = b.type(inputs.text_embeds).shape;
  require(pooled == Shape({sample[0], config.pooled_dim()}), Exit::BadConfig,
          "the U-Net takes pooled text of width {}, the pooled embeddings are {}", config.pooled_dim(), pooled.text());
  const auto& sizes = b.type(inputs.time_ids).shape;
  require(sizes == Shape({sample[0], 6}), Exit::BadConfig, "time_ids are [N,6], not {}", sizes.text());
}

/// Sinusoids -> linear -> SiLU -> linear under `prefix`: [N,K] -> [N,E].
ir::Value embedding(const Net& net, const std::string& prefix, ir::Value x) {
  return linear(net, prefix + ".linear_2", net.b.silu(linear(net, prefix + ".linear_1", x)));
}

ir::Value sinusoids(const Net& net, const UnetConfig& config, std::int64_t dim, ir::Value numbers, DType dtype) {
  return net.b.graph().add1(ir::Sinusoid{.dim = dim,
                                         .cos_first = config.flip_sin_to_cos,
                                         .shift = static_cast<float>(config.freq_shift),
                                         .dtype = dtype},
                            {numbers});
}

/// Time embedding and text keys and values of all blocks.
Conditioning condition(const Net& net, const UnetConfig& config, const UnetStructure& structure,
                       const UnetInputs& inputs, std::map<std::string, ir::Value>& activations) {
  const auto dtype = net.b.type(inputs.sample).dtype;
  const auto steps = sinusoids(net, config, config.block_out_channels.front(), inputs.timesteps, dtype);  // [N,C0]
  auto time = embedding(net, "time_embedding", steps);                                                    // [N,E]
  activations["time_embedding"] = time;
  if (config.text_time) {
    const auto sizes = sinusoids(net, config, config.addition_time_dim, inputs.time_ids, dtype);  // [N,6A]
    const auto added = net.b.concat({inputs.text_embeds, sizes});                                 // [N,P+6A]
    time = net.b.add(time, embedding(net, "add_embedding", added));                               // [N,E]
  }
  std::vector<std::string> time_layers;
  std::vector<std::string> text_layers;
  for (const auto* block : structure.blocks()) {
    for (const auto& spec : block->resnets) time_layers.push_back(spec.prefix + ".time_emb_proj");
    for (const auto& spec : block->attentions)
      for (std::int64_t t = 0; t < spec.depth; ++t)
        for (const char* name : {"to_k", "to_v"})
          text_layers.push_back(fmt::format("{}.attn2.{}", spec.block(t), name));
  }
  return {.batch = net.b.type(inputs.sample).shape[0],
          .norm_groups = config.norm_groups,
          .norm_epsilon = config.norm_epsilon,
          .time = project(net, time_layers, net.b.silu(time)),  // each [N,C_i]
          .text = project(net, text_layers, inputs.context)};   // each [N*T,C_i]
}

}  // namespace

UnetOutputs build_unet(const ir::Builder& b, const UnetConfig& config, const ParameterValues& parameters,
                       const UnetInputs& inputs) {
  check_inputs(b, config, inputs);
  const Net net{b, parameters};
  const auto structure = unet_structure(config);
  UnetOutputs result;
  const auto c = condition(net, config, structure, inputs, result.activations);
  const auto attend = [&](const BlockSpec& block, std::size_t r, ir::Value x) {
    return r < block.attentions.size() ? transformer(net, block.attentions[r], c, x) : x;
  };

  auto x = conv(net, "conv_in", inputs.sample);  // [N,C0,H,W]
  result.activations["conv_in"] = x;
  ir::Values skips{x};
  for (const auto& block : structure.down) {
    for (std::size_t r = 0; r < block.resnets.size(); ++r) {
      x = attend(block, r, resnet(net, block.resnets[r], c, x));  // [N,C_level,H,W]
      skips.push_back(x);
    }
    if (!block.resampler.empty()) {
      x = conv(net, block.resampler, x, 2);  // [N,C_level,ceil(H/2),ceil(W/2)]
      skips.push_back(x);
    }
    result.activations[block.prefix] = x;
  }

  x = resnet(net, structure.mid.resnets[0], c, x);
  x = resnet(net, structure.mid.resnets[1], c, attend(structure.mid, 0, x));
  result.activations[structure.mid.prefix] = x;

  for (const auto& block : structure.up) {
    for (std::size_t r = 0; r < block.resnets.size(); ++r) {
      x = b.concat({x, skips.back()});  // [N,C+C_skip,H,W]
      skips.pop_back();
      x = attend(block, r, resnet(net, block.resnets[r], c, x));  // [N,C_level,H,W]
    }
    if (!block.resampler.empty()) {
      const Shape size = b.type(skips.back()).shape;  // twice this one, or one less where the level above was odd
      x = conv(net, block.resampler, b.upsample(x, size[2], size[3]));  // [N,C_level,H_skip,W_skip]
    }
    result.activations[block.prefix] = x;
  }

  x = group_norm(net, "conv_norm_out", x, config.norm_groups, config.norm_epsilon);
  result.activations["conv_norm_out"] = x;
  result.prediction = conv(net, "conv_out", b.silu(x));  // [N,out_channels,H,W]
  return result;
}

}  // namespace ldmpi::nn
