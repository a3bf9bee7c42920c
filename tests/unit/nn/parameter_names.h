#pragma once
// The state-dict names of the three families, spelled out from the published files and not from the program's own
// description of a model.

#include <fmt/format.h>

#include <initializer_list>
#include <set>
#include <string>
#include <vector>

namespace ldmpi::nn::test {

class PublishedNames {
 public:
  /// `down_depth[b]`: transformer blocks per attention of down block b, 0 without attention; mirrored for up blocks.
  PublishedNames(std::vector<int> down_depth, int mid_depth, bool text_time) {
    const int levels = static_cast<int>(down_depth.size());
    both({"conv_in", "time_embedding.linear_1", "time_embedding.linear_2", "conv_norm_out", "conv_out"});
    if (text_time) both({"add_embedding.linear_1", "add_embedding.linear_2"});
    for (int b = 0; b < levels; ++b) {
      for (int r = 0; r < 2; ++r) {
        // Channels change in the first resnet of levels 1 and 2 (320-640, 640-1280), not of a fourth (1280-1280).
        const bool widens = r == 0 && (b == 1 || b == 2);
        resnet(fmt::format("down_blocks.{}.resnets.{}", b, r), widens);
        attention(fmt::format("down_blocks.{}.attentions.{}", b, r), down_depth[static_cast<std::size_t>(b)]);
        const int depth = down_depth[static_cast<std::size_t>(levels - 1 - b)];
        resnet(fmt::format("up_blocks.{}.resnets.{}", b, r), true);
        attention(fmt::format("up_blocks.{}.attentions.{}", b, r), depth);
        if (r == 1) {
          resnet(fmt::format("up_blocks.{}.resnets.2", b), true);
          attention(fmt::format("up_blocks.{}.attentions.2", b), depth);
        }
      }
      if (b + 1 == levels) continue;
      both({fmt::format("down_blocks.{}.downsamplers.0.conv", b), fmt::format("up_blocks.{}.upsamplers.0.conv", b)});
    }
    resnet("mid_block.resnets.0", false);
    attention("mid_block.attentions.0", mid_depth);
    resnet("mid_block.resnets.1", false);
  }

  [[nodiscard]] const std::set<std::string>& names() const { return names_; }

 private:
  void both(std::initializer_list<std::string> prefixes) {
    for (const auto& prefix : prefixes) {
      names_.insert(prefix + ".weight");
      names_.insert(prefix + ".bias");
    }
  }
  void resnet(const std::string& p, bool shortcut) {
    both({p + ".norm1", p + ".conv1", p + ".time_emb_proj", p + ".norm2", p + ".conv2"});
    if (shortcut) both({p + ".conv_shortcut"});
  }
  void attention(const std::string& p, int depth) {
    if (depth == 0) return;
    both({p + ".norm", p + ".proj_in", p + ".proj_out"});
    for (int t = 0; t < depth; ++t) {
      const auto q = fmt::format("{}.transformer_blocks.{}", p, t);
      both({q + ".norm1", q + ".norm2", q + ".norm3", q + ".attn1.to_out.0", q + ".attn2.to_out.0",
            q + ".ff.net.0.proj", q + ".ff.net.2"});
      for (const char* a : {"attn1", "attn2"})
        for (const char* m : {"to_q", "to_k", "to_v"}) names_.insert(fmt::format("{}.{}.{}.weight", q, a, m));
    }
  }

  std::set<std::string> names_;
};

}  // namespace ldmpi::nn::test
