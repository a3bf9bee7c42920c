#pragma once
// The tensor names of a diffusers U-Net, generated from its published rules for the tests of names and weight files.

#include <fmt/format.h>

#include <string>
#include <vector>

namespace ldmpi::io::test {

struct UnetSpec {
  std::vector<int> channels;
  std::vector<int> down_transformers;  ///< transformer blocks per attention of a down block; 0: no attention
  int mid_transformers = 1;
  bool has_add_embedding = false;
  int layers = 2;
};

inline UnetSpec sd15() {
  return {{320, 640, 1280, 1280}, {1, 1, 1, 0}, 1, false, 2};
}
inline UnetSpec sdxl() {
  return {{320, 640, 1280}, {0, 2, 10}, 10, true, 2};
}

class UnetNames {
 public:
  explicit UnetNames(const UnetSpec& spec) {
    const auto blocks = spec.channels.size();
    for (const char* name :
         {"conv_in", "time_embedding.linear_1", "time_embedding.linear_2", "conv_norm_out", "conv_out"})
      both(name);
    if (spec.has_add_embedding)
      for (const char* name : {"add_embedding.linear_1", "add_embedding.linear_2"}) both(name);
    int width = spec.channels[0];
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::string block = fmt::format("down_blocks.{}", b);
      for (int r = 0; r < spec.layers; ++r) {
        resnet(fmt::format("{}.resnets.{}", block, r), width != spec.channels[b]);
        width = spec.channels[b];
        attention(fmt::format("{}.attentions.{}", block, r), spec.down_transformers[b]);
      }
      if (b + 1 == blocks) continue;
      both(block + ".downsamplers.0.conv");
    }
    for (int r = 0; r < 2; ++r) resnet(fmt::format("mid_block.resnets.{}", r), false);
    attention("mid_block.attentions.0", spec.mid_transformers);
    for (std::size_t b = 0; b < blocks; ++b) {
      const std::string block = fmt::format("up_blocks.{}", b);
      const std::size_t level = blocks - 1 - b;
      for (int r = 0; r <= spec.layers; ++r) {
        resnet(fmt::format("{}.resnets.{}", block, r), true);  // the skip is always joined: channels change
        attention(fmt::format("{}.attentions.{}", block, r), spec.down_transformers[level]);
      }
      if (b + 1 != blocks) both(block + ".upsamplers.0.conv");
    }
  }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  void weight(const std::string& name) { names_.push_back(name + ".weight"); }
  void both(const std::string& name) {
    weight(name);
    names_.push_back(name + ".bias");
  }
  void resnet(const std::string& name, bool has_shortcut) {
    for (const char* part : {"norm1", "conv1", "time_emb_proj", "norm2", "conv2"}) both(name + "." + part);
    if (has_shortcut) both(name + ".conv_shortcut");
  }
  void attention(const std::string& name, int transformers) {
    if (transformers == 0) return;
    for (const char* part : {"norm", "proj_in", "proj_out"}) both(name + "." + part);
    for (int t = 0; t < transformers; ++t) {
      const std::string block = fmt::format("{}.transformer_blocks.{}", name, t);
      for (const char* part : {"norm1", "norm2", "norm3", "ff.net.0.proj", "ff.net.2"}) both(block + "." + part);
      for (const char* attn : {"attn1", "attn2"}) {
        for (const char* part : {"to_q", "to_k", "to_v"}) weight(fmt::format("{}.{}.{}", block, attn, part));
        both(fmt::format("{}.{}.to_out.0", block, attn));
      }
    }
  }

  std::vector<std::string> names_;
};

}  // namespace ldmpi::io::test
