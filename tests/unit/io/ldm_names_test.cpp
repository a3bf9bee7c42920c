#include "io/ldm_names.h"

#include <gtest/gtest.h>

#include <set>

#include "unet_names.h"

namespace ldmpi::io {
namespace {

const LdmLayout kSd15{4, 2, {false, true, true, true}};
const LdmLayout kSdxl{3, 2, {true, true, false}};

void expect_one_to_one(const test::UnetSpec& spec, const LdmLayout& layout, std::size_t count) {
  const std::vector<std::string> names = test::UnetNames(spec).names();
  ASSERT_EQ(names.size(), count);
  const LdmNames translation(layout);
  std::set<std::string> seen;
  for (const std::string& name : names) {
    const auto ldm = translation.to_ldm(name);
    ASSERT_TRUE(ldm.has_value()) << name;
    EXPECT_TRUE(ldm->starts_with(kLdmPrefix));
    EXPECT_TRUE(seen.insert(*ldm).second) << *ldm << " twice";
    EXPECT_EQ(translation.to_diffusers(*ldm), name) << *ldm;
  }
  std::vector<std::string> ldm_names(seen.begin(), seen.end());
  ldm_names.emplace_back("first_stage_model.decoder.conv_in.weight");
  EXPECT_EQ(ldm_layout_of(ldm_names), layout);
}

TEST(LdmNames, Sd15IsOneToOne) {
  expect_one_to_one(test::sd15(), kSd15, 686);
}
TEST(LdmNames, SdxlIsOneToOne) {
  expect_one_to_one(test::sdxl(), kSdxl, 1680);
}

TEST(LdmNames, OneLevelAndOneLayer) {
  expect_one_to_one({{32}, {1}, 1, false, 1}, {1, 1, {true}}, test::UnetNames({{32}, {1}, 1, false, 1}).names().size());
  expect_one_to_one({{32, 64}, {0, 1}, 1, false, 3}, {2, 3, {true, false}},
                    test::UnetNames({{32, 64}, {0, 1}, 1, false, 3}).names().size());
}

TEST(LdmNames, KnownPairs) {
  const LdmNames sd(kSd15);
  const LdmNames xl(kSdxl);
  const auto ldm = [](const char* name) { return std::string(kLdmPrefix) + name; };
  EXPECT_EQ(sd.to_ldm("conv_in.weight"), ldm("input_blocks.0.0.weight"));
  EXPECT_EQ(sd.to_ldm("time_embedding.linear_2.bias"), ldm("time_embed.2.bias"));
  EXPECT_EQ(sd.to_ldm("down_blocks.0.resnets.0.norm1.weight"), ldm("input_blocks.1.0.in_layers.0.weight"));
  EXPECT_EQ(sd.to_ldm("down_blocks.0.downsamplers.0.conv.bias"), ldm("input_blocks.3.0.op.bias"));
  EXPECT_EQ(sd.to_ldm("down_blocks.1.resnets.0.conv_shortcut.weight"), ldm("input_blocks.4.0.skip_connection.weight"));
  EXPECT_EQ(sd.to_ldm("down_blocks.3.resnets.1.time_emb_proj.weight"), ldm("input_blocks.11.0.emb_layers.1.weight"));
  EXPECT_EQ(sd.to_ldm("mid_block.resnets.1.conv2.weight"), ldm("middle_block.2.out_layers.3.weight"));
  EXPECT_EQ(sd.to_ldm("up_blocks.0.upsamplers.0.conv.weight"), ldm("output_blocks.2.1.conv.weight"));
  EXPECT_EQ(sd.to_ldm("up_blocks.1.upsamplers.0.conv.weight"), ldm("output_blocks.5.2.conv.weight"));
  EXPECT_EQ(sd.to_ldm("up_blocks.3.attentions.2.transformer_blocks.0.attn2.to_out.0.bias"),
            ldm("output_blocks.11.1.transformer_blocks.0.attn2.to_out.0.bias"));
  EXPECT_EQ(sd.to_ldm("conv_norm_out.weight"), ldm("out.0.weight"));
  EXPECT_EQ(xl.to_ldm("add_embedding.linear_1.weight"), ldm("label_emb.0.0.weight"));
  EXPECT_EQ(xl.to_ldm("up_blocks.0.upsamplers.0.conv.weight"), ldm("output_blocks.2.2.conv.weight"));
}

TEST(LdmNames, NamesThatAUnetDoesNotHave) {
  const LdmNames sd(kSd15);
  for (const char* name : {"", "conv_in", "conv_in.", "conv_in.gamma", "down_blocks.4.resnets.0.norm1.weight",
                           "down_blocks.3.downsamplers.0.conv.weight", "up_blocks.0.attentions.0.norm.weight",
                           "mid_block.attentions.0.weight", ".weight", "down_blocks.0.resnets.0.weight"})
    EXPECT_EQ(sd.to_ldm(name), std::nullopt) << name;
  for (const char* name : {"conv_in.weight", "model.diffusion_model.input_blocks.12.0.in_layers.0.weight",
                           "model.diffusion_model.input_blocks.1.0.in_layers.1.weight", "model.diffusion_model."})
    EXPECT_EQ(sd.to_diffusers(name), std::nullopt) << name;
}

TEST(LdmNames, LayoutOfOtherNamesIsNothing) {
  const auto layout = [](std::vector<std::string> names) {
    for (auto& name : names) name.insert(0, kLdmPrefix);
    return ldm_layout_of(names);
  };
  EXPECT_EQ(ldm_layout_of({}), std::nullopt);
  EXPECT_EQ(layout({"input_blocks.0.0.weight"}), std::nullopt);
  EXPECT_EQ(layout({"input_blocks.x.0.weight", "output_blocks.0.0.weight"}), std::nullopt);
  EXPECT_EQ(layout({"input_blocks.0.0.weight", "input_blocks.2.0.weight", "output_blocks.0.0.weight"}), std::nullopt);
  EXPECT_EQ(layout({"input_blocks.0.0.op.weight", "output_blocks.0.0.weight"}), std::nullopt);
  EXPECT_EQ(layout({"input_blocks.99999999999999.0.weight", "output_blocks.0.0.weight"}), std::nullopt);
  EXPECT_EQ(layout({"input_blocks.2147483647.0.weight", "output_blocks.0.0.weight"}), std::nullopt);
}

}  // namespace
}  // namespace ldmpi::io
