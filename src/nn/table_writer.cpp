#include "nn/table_writer.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace ldmpi::nn {

namespace {

/// PyTorch's default for weights and biases of linear and convolution layers.
InitRule uniform_by_fan_in(std::int64_t fan_in) {
  return {InitRule::Kind::Uniform, static_cast<float>(1 / std::sqrt(static_cast<double>(fan_in)))};
}

ParameterEntry entry(std::string name, Shape shape, InitRule init) {
  return {.name = std::move(name), .shape = shape, .block = 0, .row_offset = 0, .init = init};
}

}  // namespace

bool TableWriter::frozen(const std::string& name) const {
  return std::any_of(freeze_.begin(), freeze_.end(),
                     [&](const std::string& prefix) { return name.starts_with(prefix); });
}

void TableWriter::block(std::string label, Shape columns, std::vector<ParameterEntry> entries) {
  ParameterBlock result{
      .label = std::move(label), .shape = {}, .trainable = !frozen(entries.front().name), .decay = true, .entries = {}};
  std::int64_t rows = 0;
  for (auto& item : entries) {
    item.block = static_cast<int>(blocks_.size());
    item.row_offset = rows;
    rows += item.shape[0];
    result.entries.push_back(static_cast<int>(entries_.size()));
    entries_.push_back(std::move(item));
  }
  std::vector<std::int64_t> extents{rows};
  extents.insert(extents.end(), columns.extents().begin(), columns.extents().end());
  result.shape = Shape(extents);
  blocks_.push_back(std::move(result));
}

void TableWriter::shared(const std::string& label, const std::vector<Linear>& layers) {
  // Weights and biases are divided alike, so that each product of the forward pass has one bias block.
  std::map<std::pair<bool, bool>, std::vector<const Linear*>> groups;
  for (const auto& layer : layers)
    groups[{frozen(layer.prefix + ".weight"), layer.bias && frozen(layer.prefix + ".bias")}].push_back(&layer);
  int number = 0;
  for (const auto& [key, members] : groups) {
    const auto suffix = groups.size() == 1 ? std::string() : fmt::format("#{}", number++);
    const auto in = members.front()->in;
    std::vector<ParameterEntry> weights;
    std::vector<ParameterEntry> biases;
    for (const auto* layer : members) {
      const auto shape = layer->convolution ? Shape{layer->out, in, 1, 1} : Shape{layer->out, in};
      weights.push_back(entry(layer->prefix + ".weight", shape, uniform_by_fan_in(in)));
      if (layer->bias) biases.push_back(entry(layer->prefix + ".bias", {layer->out}, uniform_by_fan_in(in)));
    }
    block(label + ".weight" + suffix, {in}, std::move(weights));
    if (!biases.empty()) block(label + ".bias" + suffix, {}, std::move(biases));
  }
}

void TableWriter::conv3x3(const std::string& prefix, std::int64_t out, std::int64_t in) {
  block(prefix + ".weight", {in, 3, 3}, {entry(prefix + ".weight", {out, in, 3, 3}, uniform_by_fan_in(9 * in))});
  block(prefix + ".bias", {}, {entry(prefix + ".bias", {out}, uniform_by_fan_in(9 * in))});
}

void TableWriter::norm(const std::string& prefix, std::int64_t channels) {
  block(prefix + ".weight", {}, {entry(prefix + ".weight", {channels}, {InitRule::Kind::Constant, 1})});
  block(prefix + ".bias", {}, {entry(prefix + ".bias", {channels}, {InitRule::Kind::Constant, 0})});
}

void TableWriter::resnet(const ResnetSpec& spec) {
  norm(spec.prefix + ".norm1", spec.in);
  conv3x3(spec.prefix + ".conv1", spec.out, spec.in);
  norm(spec.prefix + ".norm2", spec.out);
  conv3x3(spec.prefix + ".conv2", spec.out, spec.out);
  if (spec.in != spec.out)
    linear({.prefix = spec.prefix + ".conv_shortcut", .out = spec.out, .in = spec.in, .convolution = true});
}

void TableWriter::transformer_block(const std::string& prefix, std::int64_t channels) {
  const auto square = [&](const char* name, bool bias) {
    return Linear{.prefix = fmt::format("{}.{}", prefix, name), .out = channels, .in = channels, .bias = bias};
  };
  norm(prefix + ".norm1", channels);
  shared(prefix + ".attn1.to_qkv",
         {square("attn1.to_q", false), square("attn1.to_k", false), square("attn1.to_v", false)});
  linear(square("attn1.to_out.0", true));
  norm(prefix + ".norm2", channels);
  linear(square("attn2.to_q", false));
  linear(square("attn2.to_out.0", true));
  norm(prefix + ".norm3", channels);
  linear({.prefix = prefix + ".ff.net.0.proj", .out = 8 * channels, .in = channels});
  linear({.prefix = prefix + ".ff.net.2", .out = channels, .in = 4 * channels});
}

void TableWriter::transformer(const TransformerSpec& spec, const UnetConfig& config) {
  const auto projection = [&](const char* name) {
    return Linear{.prefix = fmt::format("{}.{}", spec.prefix, name),
                  .out = spec.channels,
                  .in = spec.channels,
                  .convolution = !config.linear_projection};
  };
  norm(spec.prefix + ".norm", spec.channels);
  linear(projection("proj_in"));
  for (std::int64_t t = 0; t < spec.depth; ++t) transformer_block(spec.block(t), spec.channels);
  linear(projection("proj_out"));
}

void TableWriter::unet(const UnetConfig& config) {
  const auto structure = unet_structure(config);
  const auto first = config.block_out_channels.front();
  const auto width = config.time_embedding_dim();

  std::vector<Linear> text;
  std::vector<Linear> time;
  for (const auto* level : structure.blocks()) {
    for (const auto& spec : level->resnets)
      time.push_back({.prefix = spec.prefix + ".time_emb_proj", .out = spec.out, .in = width});
    for (const auto& spec : level->attentions)
      for (std::int64_t t = 0; t < spec.depth; ++t)
        for (const char* name : {"to_k", "to_v"})
          text.push_back({.prefix = fmt::format("{}.attn2.{}", spec.block(t), name),
                          .out = spec.channels,
                          .in = config.cross_attention_dim,
                          .bias = false});
  }
  shared("attn2.to_kv", text);
  linear({.prefix = "time_embedding.linear_1", .out = width, .in = first});
  linear({.prefix = "time_embedding.linear_2", .out = width, .in = width});
  if (config.text_time) {
    linear({.prefix = "add_embedding.linear_1", .out = width, .in = config.addition_input_dim});
    linear({.prefix = "add_embedding.linear_2", .out = width, .in = width});
  }
  shared("time_emb_proj", time);

  conv3x3("conv_in", first, config.in_channels);
  for (const auto* level : structure.blocks()) {
    for (std::size_t r = 0; r < level->resnets.size(); ++r) {
      resnet(level->resnets[r]);
      if (r < level->attentions.size()) transformer(level->attentions[r], config);
    }
    const auto channels = level->resnets.back().out;
    if (!level->resampler.empty()) conv3x3(level->resampler, channels, channels);
  }
  norm("conv_norm_out", first);
  conv3x3("conv_out", config.out_channels, first);
}

}  // namespace ldmpi::nn
