#pragma once
// Layers as functions that write graph. Each reads its parameters by diffusers prefix. Images are [N,C,H,W]
// (channels-last in memory), tokens [N*H*W,C]; a 1x1 convolution is a linear layer on tokens.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "nn/parameter_table.h"
#include "nn/structure.h"

namespace ldmpi::nn {

/// Where layers write and read: one graph and its parameters.
struct Net {
  const ir::Builder& b;
  const ParameterValues& parameters;
};

/// x W^T (+ bias where `prefix`.bias exists): [rows,K] -> [rows,O].
[[nodiscard]] ir::Value linear(const Net& net, const std::string& prefix, ir::Value x);

/// k x k convolution with padding k/2: [N,C,H,W] -> [N,O,ceil(H/stride),ceil(W/stride)].
[[nodiscard]] ir::Value conv(const Net& net, const std::string& prefix, ir::Value x, int stride = 1);

/// GroupNorm with gamma and beta of the prefix: [N,C,H,W] -> the same.
[[nodiscard]] ir::Value group_norm(const Net& net, const std::string& prefix, ir::Value x, std::int64_t groups,
                                   double epsilon);

/// LayerNorm over columns, epsilon 1e-5: [rows,C] -> the same.
[[nodiscard]] ir::Value layer_norm(const Net& net, const std::string& prefix, ir::Value x);

/// x times every listed weight, `prefix`.weight [O_i,K] with its bias where it exists, by one product per storage
/// block: x [rows,K] -> for each prefix [rows,O_i].
[[nodiscard]] std::map<std::string, ir::Value> project(const Net& net, const std::vector<std::string>& prefixes,
                                                       ir::Value x);

/// What every block of a U-Net needs besides the image.
struct Conditioning {
  std::int64_t batch = 1;
  std::int64_t norm_groups = 32;
  double norm_epsilon = 1e-5;
  std::map<std::string, ir::Value> time;  ///< "<resnet>.time_emb_proj" -> [N,out]
  std::map<std::string, ir::Value> text;  ///< "<transformer block>.attn2.to_k" and to_v -> [N*T,C]
};

/// [N,in,H,W] -> [N,out,H,W]
[[nodiscard]] ir::Value resnet(const Net& net, const ResnetSpec& spec, const Conditioning& c, ir::Value x);

/// [N,C,H,W] -> [N,C,H,W]
[[nodiscard]] ir::Value transformer(const Net& net, const TransformerSpec& spec, const Conditioning& c, ir::Value x);

}  // namespace ldmpi::nn
