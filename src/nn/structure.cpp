#include "nn/structure.h"

#include <fmt/format.h>

#include "base/check.h"

namespace ldmpi::nn {

namespace {

TransformerSpec attention_at(const UnetConfig& config, std::size_t level, std::string prefix) {
  return {std::move(prefix), config.block_out_channels[level], config.heads[level], config.transformer_layers[level]};
}

}  // namespace

std::string TransformerSpec::block(std::int64_t t) const {
  return fmt::format("{}.transformer_blocks.{}", prefix, t);
}

std::vector<const BlockSpec*> UnetStructure::blocks() const {
  std::vector<const BlockSpec*> result;
  for (const auto& block : down) result.push_back(&block);
  result.push_back(&mid);
  for (const auto& block : up) result.push_back(&block);
  return result;
}

UnetStructure unet_structure(const UnetConfig& config) {
  const auto levels = config.levels();
  UnetStructure result;
  auto channels = config.block_out_channels.front();  // of the running image
  std::vector<std::int64_t> skips{channels};

  for (std::size_t level = 0; level < levels; ++level) {
    BlockSpec block{fmt::format("down_blocks.{}", level), {}, {}, {}};
    for (std::int64_t r = 0; r < config.layers_per_block[level]; ++r) {
      const auto out = config.block_out_channels[level];
      block.resnets.push_back({fmt::format("{}.resnets.{}", block.prefix, r), channels, out});
      if (config.down_attention[level])
        block.attentions.push_back(attention_at(config, level, fmt::format("{}.attentions.{}", block.prefix, r)));
      skips.push_back(channels = out);
    }
    if (level + 1 < levels) {
      block.resampler = block.prefix + ".downsamplers.0.conv";
      skips.push_back(channels);
    }
    result.down.push_back(std::move(block));
  }

  result.mid.prefix = "mid_block";
  result.mid.resnets = {{"mid_block.resnets.0", channels, channels}, {"mid_block.resnets.1", channels, channels}};
  result.mid.attentions = {attention_at(config, levels - 1, "mid_block.attentions.0")};

  for (std::size_t i = 0; i < levels; ++i) {
    const auto level = levels - 1 - i;
    BlockSpec block{fmt::format("up_blocks.{}", i), {}, {}, {}};
    for (std::int64_t r = 0; r < config.layers_per_block[level] + 1; ++r) {
      const auto out = config.block_out_channels[level];
      block.resnets.push_back({fmt::format("{}.resnets.{}", block.prefix, r), channels + skips.back(), out});
      skips.pop_back();
      if (config.up_attention[i])
        block.attentions.push_back(attention_at(config, level, fmt::format("{}.attentions.{}", block.prefix, r)));
      channels = out;
    }
    if (i + 1 < levels) block.resampler = block.prefix + ".upsamplers.0.conv";
    result.up.push_back(std::move(block));
  }
  LDMPI_CHECK(skips.empty(), "{} skips are left over", skips.size());
  return result;
}

}  // namespace ldmpi::nn
