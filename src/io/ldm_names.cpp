#include "io/ldm_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <utility>

#include "base/check.h"

namespace ldmpi::io {

namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kResnetParts = {
    {{"norm1", "in_layers.0"},
     {"conv1", "in_layers.2"},
     {"time_emb_proj", "emb_layers.1"},
     {"norm2", "out_layers.0"},
     {"conv2", "out_layers.3"},
     {"conv_shortcut", "skip_connection"}}};

constexpr int kMaxBlock = 9999;  // far beyond any U-Net, far below overflow

/// The block number at the begin of `text`, which a dot must follow; `text` moves behind the dot.
std::optional<int> take_number(std::string_view& text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto digits = static_cast<std::size_t>(end - text.data());
  if (error != std::errc() || number < 0 || number > kMaxBlock || digits == text.size() || text[digits] != '.')
    return std::nullopt;
  text.remove_prefix(digits + 1);
  return number;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

LdmNames::LdmNames(const LdmLayout& layout) {
  LDMPI_CHECK(layout.blocks > 0 && layout.layers_per_block > 0 &&
                  layout.up_attention.size() == static_cast<std::size_t>(layout.blocks),
              "layout of {} blocks, {} layers, {} flags", layout.blocks, layout.layers_per_block,
              layout.up_attention.size());
  add("conv_in", "input_blocks.0.0");
  add("conv_norm_out", "out.0");
  add("conv_out", "out.2");
  for (int i : {0, 2}) {
    add(fmt::format("time_embedding.linear_{}", i / 2 + 1), fmt::format("time_embed.{}", i));
    add(fmt::format("add_embedding.linear_{}", i / 2 + 1), fmt::format("label_emb.0.{}", i));
  }
  add_resnet("mid_block.resnets.0", "middle_block.0");
  add("mid_block.attentions.0", "middle_block.1", true);
  add_resnet("mid_block.resnets.1", "middle_block.2");

  const int stride = layout.layers_per_block + 1;
  for (int b = 0; b < layout.blocks; ++b) {
    const bool is_last = b == layout.blocks - 1;
    for (int r = 0; r < layout.layers_per_block; ++r) {
      const std::string ldm = fmt::format("input_blocks.{}", 1 + stride * b + r);
      add_resnet(fmt::format("down_blocks.{}.resnets.{}", b, r), ldm + ".0");
      add(fmt::format("down_blocks.{}.attentions.{}", b, r), ldm + ".1", true);
    }
    if (!is_last)
      add(fmt::format("down_blocks.{}.downsamplers.0.conv", b), fmt::format("input_blocks.{}.0.op", stride * (b + 1)));

    const bool has_attention = layout.up_attention[static_cast<std::size_t>(b)];
    for (int r = 0; r < stride; ++r) {
      const std::string ldm = fmt::format("output_blocks.{}", stride * b + r);
      add_resnet(fmt::format("up_blocks.{}.resnets.{}", b, r), ldm + ".0");
      if (has_attention) add(fmt::format("up_blocks.{}.attentions.{}", b, r), ldm + ".1", true);
    }
    if (!is_last)
      add(fmt::format("up_blocks.{}.upsamplers.0.conv", b),
          fmt::format("output_blocks.{}.{}.conv", stride * b + stride - 1, has_attention ? 2 : 1));
  }
}

void LdmNames::add(const std::string& diffusers, const std::string& ldm, bool has_children) {
  const std::string full = std::string(kLdmPrefix) + ldm;
  to_ldm_.emplace(diffusers, Module{full, has_children});
  to_diffusers_.emplace(full, Module{diffusers, has_children});
}

void LdmNames::add_resnet(const std::string& diffusers, const std::string& ldm) {
  for (const auto& [part, ldm_part] : kResnetParts)
    add(fmt::format("{}.{}", diffusers, part), fmt::format("{}.{}", ldm, ldm_part));
}

std::optional<std::string> LdmNames::translate(const Table& table, std::string_view name) {
  for (auto dot = name.rfind('.'); dot != std::string_view::npos && dot > 0; dot = name.rfind('.', dot - 1)) {
    const auto found = table.find(std::string(name.substr(0, dot)));
    if (found == table.end()) continue;
    const std::string_view rest = name.substr(dot);
    const bool is_leaf = rest == ".weight" || rest == ".bias";
    if (found->second.has_children == is_leaf) return std::nullopt;  // attention has no values of its own
    return found->second.other + std::string(rest);
  }
  return std::nullopt;
}

std::optional<std::string> LdmNames::to_ldm(std::string_view diffusers_name) const {
  return translate(to_ldm_, diffusers_name);
}

std::optional<std::string> LdmNames::to_diffusers(std::string_view ldm_name) const {
  return translate(to_diffusers_, ldm_name);
}

std::optional<LdmLayout> ldm_layout_of(std::span<const std::string> names) {
  std::set<int> inputs;
  std::set<int> outputs;
  std::set<int> downsamplers;
  std::set<int> attentions;  // output blocks that have one
  for (std::string_view name : names) {
    if (!take_prefix(name, kLdmPrefix)) continue;
    const bool is_input = take_prefix(name, "input_blocks.");
    if (!is_input && !take_prefix(name, "output_blocks.")) continue;
    const auto number = take_number(name);
    if (!number) return std::nullopt;
    (is_input ? inputs : outputs).insert(*number);
    if (is_input && name.starts_with("0.op.")) downsamplers.insert(*number);
    if (!is_input && name.starts_with("1.proj_in.")) attentions.insert(*number);
  }
  if (inputs.empty() || outputs.empty()) return std::nullopt;
  LdmLayout layout;
  layout.blocks = static_cast<int>(downsamplers.size()) + 1;
  const int stride = downsamplers.empty() ? *inputs.rbegin() + 1 : *downsamplers.begin();
  layout.layers_per_block = stride - 1;
  const auto count = static_cast<std::size_t>(stride) * static_cast<std::size_t>(layout.blocks);
  // Distinct numbers from 0: as many of them as the largest says means that none is missing.
  const auto is_full = [&](const std::set<int>& numbers) {
    return numbers.size() == count && static_cast<std::size_t>(*numbers.rbegin()) == count - 1;
  };
  if (layout.layers_per_block < 1 || !is_full(inputs) || !is_full(outputs)) return std::nullopt;
  for (int b = 0; b < layout.blocks; ++b) layout.up_attention.push_back(attentions.contains(b * stride));
  return layout;
}

}  // namespace ldmpi::io
