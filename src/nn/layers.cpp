#include "nn/layers.h"

#include <algorithm>

namespace ldmpi::nn {

namespace {

constexpr std::string_view kWeight = ".weight";

const ParameterEntry* entry_of(const Net& net, const std::string& name) {
  const auto& table = *net.parameters.table;
  const int index = table.find(name);
  return index < 0 ? nullptr : &table.entries()[static_cast<std::size_t>(index)];
}

/// x plus the attention of `attn` ("...attn1") from q to k, v, all [rows,C], through its output layer.
ir::Value attend(const Net& net, const std::string& attn, ir::Value x, ir::Value q, ir::Value k, ir::Value v,
                 ir::Attention attributes) {
  const auto o = net.b.attention(q, k, v, attributes);      // [N*Tq,C]
  return net.b.add(linear(net, attn + ".to_out.0", o), x);  // [N*Tq,C]
}

/// Self-attention, cross-attention, feed-forward: [N*H*W,C] -> [N*H*W,C].
ir::Value transformer_block(const Net& net, const std::string& prefix, const Conditioning& c, std::int64_t heads,
                            ir::Value x) {
  const ir::Attention attributes{.batch = c.batch, .heads = heads};
  const auto attn1 = prefix + ".attn1";
  const auto attn2 = prefix + ".attn2";

  const auto own = project(net, {attn1 + ".to_q", attn1 + ".to_k", attn1 + ".to_v"},
                           layer_norm(net, prefix + ".norm1", x));  // 3 x [N*H*W,C]
  x = attend(net, attn1, x, own.at(attn1 + ".to_q"), own.at(attn1 + ".to_k"), own.at(attn1 + ".to_v"), attributes);

  const auto q = linear(net, attn2 + ".to_q", layer_norm(net, prefix + ".norm2", x));  // [N*H*W,C]
  x = attend(net, attn2, x, q, c.text.at(attn2 + ".to_k"), c.text.at(attn2 + ".to_v"), attributes);

  const auto wide = linear(net, prefix + ".ff.net.0.proj", layer_norm(net, prefix + ".norm3", x));  // [N*H*W,8C]
  const auto y = linear(net, prefix + ".ff.net.2", net.b.geglu(wide));                              // [N*H*W,C]
  return net.b.add(y, x);
}

}  // namespace

std::map<std::string, ir::Value> project(const Net& net, const std::vector<std::string>& prefixes, ir::Value x) {
  const auto& table = *net.parameters.table;
  std::vector<int> order;  // storage blocks by first use
  for (const auto& prefix : prefixes) {
    const auto* weight = entry_of(net, prefix + ".weight");
    LDMPI_CHECK(weight != nullptr, "no parameter {}.weight", prefix);
    if (std::find(order.begin(), order.end(), weight->block) == order.end()) order.push_back(weight->block);
  }
  std::map<std::string, ir::Value> result;
  for (const int block : order) {
    std::vector<std::string> names;
    std::vector<std::int64_t> sizes;
    for (const int index : table.blocks()[static_cast<std::size_t>(block)].entries) {
      const auto& entry = table.entries()[static_cast<std::size_t>(index)];
      names.push_back(entry.name.substr(0, entry.name.size() - kWeight.size()));
      sizes.push_back(entry.shape[0]);
    }
    const auto* bias = entry_of(net, names.front() + ".bias");
    const auto& values = net.parameters.blocks;
    const auto y = net.b.linear(x, values.at(static_cast<std::size_t>(block)),
                                bias != nullptr ? values.at(static_cast<std::size_t>(bias->block)) : ir::Value{});
    const auto parts = sizes.size() == 1 ? ir::Values{y} : net.b.split(y, sizes);  // each [rows,O_i]
    for (std::size_t i = 0; i < names.size(); ++i) result.emplace(names[i], parts[i]);
  }
  LDMPI_CHECK(result.size() == prefixes.size(), "{} products asked for, {} made", prefixes.size(), result.size());
  return result;
}

ir::Value linear(const Net& net, const std::string& prefix, ir::Value x) {
  return project(net, {prefix}, x).at(prefix);
}

ir::Value conv(const Net& net, const std::string& prefix, ir::Value x, int stride) {
  const auto w = net.parameters.get(prefix + ".weight");  // [O,C,k,k]
  const auto padding = static_cast<int>(net.b.type(w).shape[2] / 2);
  return net.b.conv2d(x, w, net.parameters.get(prefix + ".bias"), {.stride = stride, .padding = padding});
}

ir::Value group_norm(const Net& net, const std::string& prefix, ir::Value x, std::int64_t groups, double epsilon) {
  return net.b.group_norm(x, net.parameters.get(prefix + ".weight"), net.parameters.get(prefix + ".bias"),
                          {.groups = groups, .epsilon = static_cast<float>(epsilon)});
}

ir::Value layer_norm(const Net& net, const std::string& prefix, ir::Value x) {
  return net.b.layer_norm(x, net.parameters.get(prefix + ".weight"), net.parameters.get(prefix + ".bias"), {});
}

ir::Value resnet(const Net& net, const ResnetSpec& spec, const Conditioning& c, ir::Value x) {
  auto h = net.b.silu(group_norm(net, spec.prefix + ".norm1", x, c.norm_groups, c.norm_epsilon));
  h = conv(net, spec.prefix + ".conv1", h);  // [N,in,H,W] -> [N,out,H,W]
  h = net.b.add_channels(h, c.time.at(spec.prefix + ".time_emb_proj"));
  h = net.b.silu(group_norm(net, spec.prefix + ".norm2", h, c.norm_groups, c.norm_epsilon));
  h = conv(net, spec.prefix + ".conv2", h);  // [N,out,H,W]
  if (spec.in != spec.out) {
    const auto shortcut = linear(net, spec.prefix + ".conv_shortcut", net.b.tokens(x));  // [N*H*W,out]
    x = net.b.image_like(shortcut, x);                                                   // [N,out,H,W]
  }
  return net.b.add(h, x);
}

ir::Value transformer(const Net& net, const TransformerSpec& spec, const Conditioning& c, ir::Value x) {
  constexpr double kEpsilon = 1e-6;  // of this norm in diffusers, whatever norm_eps says
  auto h = net.b.tokens(group_norm(net, spec.prefix + ".norm", x, c.norm_groups, kEpsilon));  // [N*H*W,C]
  h = linear(net, spec.prefix + ".proj_in", h);
  for (std::int64_t t = 0; t < spec.depth; ++t) h = transformer_block(net, spec.block(t), c, spec.heads, h);
  h = linear(net, spec.prefix + ".proj_out", h);
  return net.b.add(net.b.image_like(h, x), x);  // [N,C,H,W]
}

}  // namespace ldmpi::nn
