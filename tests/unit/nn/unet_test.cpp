// The U-Net's graph: shapes of every family and size, one product for what is shared, gradients for every parameter.

#include <algorithm>

#include "fixture.h"
#include "ir/differentiate.h"
#include "nn/unet.h"

namespace ldmpi::nn::test {
namespace {

/// A graph with a U-Net on fresh inputs. The table must stay where it is: the parameters point to it.
struct Built {
  ParameterTable table;
  ir::Graph graph;
  ir::Builder b{graph};
  ParameterValues parameters;
  UnetInputs inputs;
  UnetOutputs outputs;

  Built(const UnetConfig& config, std::int64_t batch, std::int64_t height, std::int64_t width, std::int64_t tokens,
        DType dtype, std::vector<std::string> freeze = {})
      : table(config, freeze), parameters(make_parameters(b, table, dtype)) {
    inputs.sample = b.input("sample", {dtype, {batch, config.in_channels, height, width}});
    inputs.timesteps = b.input("timesteps", {DType::I64, {batch}});
    inputs.context = b.input("context", {dtype, {batch * tokens, config.cross_attention_dim}});
    if (config.text_time) {
      inputs.text_embeds = b.input("text_embeds", {dtype, {batch, config.pooled_dim()}});
      inputs.time_ids = b.input("time_ids", {DType::F32, {batch, 6}});
    }
    outputs = build_unet(b, config, parameters, inputs);
  }
  Built(const Built&) = delete;
  Built& operator=(const Built&) = delete;

  [[nodiscard]] Shape shape(const std::string& activation) const {
    return graph.type(outputs.activations.at(activation)).shape;
  }
  [[nodiscard]] std::int64_t count(std::string_view op) const {
    return std::count_if(graph.nodes().begin(), graph.nodes().end(),
                         [&](const ir::Node& node) { return ir::name_of(node.op) == op; });
  }
  /// Nodes that read the value.
  [[nodiscard]] std::vector<const ir::Node*> readers(ir::Value value) const {
    std::vector<const ir::Node*> result;
    for (const auto& node : graph.nodes())
      if (std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end()) result.push_back(&node);
    return result;
  }
};

TEST(Unet, FixtureNetsHaveTheShapesOfTheReference) {
  for (const char* family : {"sd15", "sd2"})
    for (const bool wide : {false, true}) {
      const std::int64_t c = wide ? 32 : 8;
      const Built net(fixture(family, wide), 2, 16, 16, 7, DType::F32);
      EXPECT_EQ(net.graph.type(net.outputs.prediction).text(), "f32[2,4,16,16]");
      EXPECT_EQ(net.shape("conv_in"), Shape({2, c, 16, 16}));
      EXPECT_EQ(net.shape("time_embedding"), Shape({2, 4 * c}));
      EXPECT_EQ(net.shape("down_blocks.0"), Shape({2, c, 8, 8}));
      EXPECT_EQ(net.shape("down_blocks.1"), Shape({2, 2 * c, 4, 4}));
      EXPECT_EQ(net.shape("down_blocks.2"), Shape({2, 2 * c, 4, 4}));
      EXPECT_EQ(net.shape("mid_block"), Shape({2, 2 * c, 4, 4}));
      EXPECT_EQ(net.shape("up_blocks.0"), Shape({2, 2 * c, 8, 8}));
      EXPECT_EQ(net.shape("up_blocks.1"), Shape({2, 2 * c, 16, 16}));
      EXPECT_EQ(net.shape("up_blocks.2"), Shape({2, c, 16, 16}));
      EXPECT_EQ(net.shape("conv_norm_out"), Shape({2, c, 16, 16}));
      EXPECT_EQ(net.outputs.activations.size(), 10U);
    }
  for (const bool wide : {false, true}) {
    const std::int64_t c = wide ? 32 : 12;
    const Built net(fixture("sdxl", wide), 2, 16, 16, 9, DType::F32);
    EXPECT_EQ(net.graph.type(net.outputs.prediction).text(), "f32[2,4,16,16]");
    EXPECT_EQ(net.shape("time_embedding"), Shape({2, 4 * c}));
    EXPECT_EQ(net.shape("up_blocks.1"), Shape({2, c, 16, 16}));
  }
}

TEST(Unet, PublishedModelsBuildAtTheirSizes) {
  const struct {
    const char* model;
    std::int64_t side;
    std::int64_t attentions;
  } cases[] = {{"sd15", 64, 32},  {"sd21", 64, 32},  {"sd21", 96, 32},
               {"sdxl", 64, 140}, {"sdxl", 96, 140}, {"sdxl", 128, 140}};
  for (const auto& [model, side, attentions] : cases) {
    const Built net(shipped(model), 2, side, side, 77, DType::BF16);
    EXPECT_EQ(net.graph.type(net.outputs.prediction), (ir::Type{DType::BF16, {2, 4, side, side}})) << model;
    EXPECT_EQ(net.count("attention"), attentions) << model;
  }
  const Built quickstart(shipped("quickstart"), 16, 16, 16, 4, DType::F32);
  EXPECT_EQ(quickstart.count("attention"), 2 * (2 + 1 + 4));  // nothing at 16x16
}

TEST(Unet, AnyLatentSizeBuilds) {
  for (const auto& [height, width] : {std::pair{15, 17}, {9, 13}, {8, 20}, {1, 1}, {5, 1}, {63, 65}}) {
    const Built net(fixture("sd15", false), 1, height, width, 7, DType::F32);
    EXPECT_EQ(net.graph.type(net.outputs.prediction).shape, Shape({1, 4, height, width}));
    EXPECT_EQ(net.shape("down_blocks.0"), Shape({1, 8, (height + 1) / 2, (width + 1) / 2}));
    EXPECT_EQ(net.shape("up_blocks.0"), Shape({1, 16, (height + 1) / 2, (width + 1) / 2}));
  }
}

TEST(Unet, SharedProductsAreOne) {
  const Built net(shipped("sd15"), 2, 64, 64, 77, DType::F32);
  ASSERT_EQ(net.readers(net.inputs.context).size(), 1U);
  EXPECT_EQ(net.graph.type(net.readers(net.inputs.context).front()->outputs[0]).shape, Shape({2 * 77, 24960}));
  // Per transformer 6 products in its block (qkv, out, q, out, two of the feed-forward), proj_in and proj_out; 14
  // shortcuts; 2 of the time embedding, 1 for all time projections, 1 for all text.
  EXPECT_EQ(net.count("matmul"), 16 * (6 + 2) + 14 + 4);
  EXPECT_EQ(net.count("add_channels"), 22);
}

TEST(Unet, EveryParameterGetsItsGradient) {
  for (const char* family : {"sd15", "sd2", "sdxl"}) {
    Built net(fixture(family, false), 2, 15, 16, 7, DType::F32);
    const auto shape = net.graph.type(net.outputs.prediction).shape;
    const auto target = net.b.input("target", {DType::F32, shape});
    const auto loss =
        net.graph.add1(ir::WeightedMse{}, {net.outputs.prediction, target, net.b.fill(1, ir::Type{DType::F32, {2}})});
    auto targets = net.parameters.blocks;
    targets.push_back(net.inputs.sample);
    targets.push_back(net.inputs.context);
    if (net.inputs.text_embeds) targets.push_back(net.inputs.text_embeds);
    const auto gradients = ir::differentiate(net.graph, loss, net.b.fill(1, ir::Type{DType::F32, {1}}), targets);
    ASSERT_EQ(gradients.size(), targets.size());
    for (std::size_t i = 0; i < targets.size(); ++i) {
      ASSERT_TRUE(gradients[i]) << family << ' ' << i;
      EXPECT_EQ(net.graph.type(gradients[i]), net.graph.type(targets[i]))
          << family << ' ' << net.graph.type(gradients[i]).text() << " for " << net.graph.type(targets[i]).text();
    }
  }
}

TEST(Unet, FrozenHalfCostsNoExtraNodesInForward) {
  const Built all(fixture("sd15", false), 2, 16, 16, 7, DType::F32);
  const Built half(fixture("sd15", false), 2, 16, 16, 7, DType::F32, {"down_blocks.", "conv_in"});
  EXPECT_EQ(half.count("matmul"), all.count("matmul") + 2);  // text and time products, once per group
  EXPECT_EQ(half.count("attention"), all.count("attention"));
  const auto mixed = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q";
  const Built split(fixture("sd15", false), 2, 16, 16, 7, DType::F32, {mixed});
  EXPECT_EQ(split.count("matmul"), all.count("matmul") + 1);
}

TEST(Unet, RefusesInputsThatDoNotFit) {
  const auto config = fixture("sdxl", false);
  const ParameterTable table(config);
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto parameters = make_parameters(b, table, DType::F32);
  const UnetInputs good{.sample = b.input("sample", {DType::F32, {2, 4, 8, 8}}),
                        .timesteps = b.input("timesteps", {DType::I64, {2}}),
                        .context = b.input("context", {DType::F32, {14, 32}}),
                        .text_embeds = b.input("text_embeds", {DType::F32, {2, 16}}),
                        .time_ids = b.input("time_ids", {DType::F32, {2, 6}})};
  EXPECT_TRUE(build_unet(b, config, parameters, good).prediction);
  const auto refuse = [&](const char* part, auto&& change) {
    auto inputs = good;
    change(inputs);
    expect_error(Exit::BadConfig, part, [&] { (void)build_unet(b, config, parameters, inputs); });
  };
  refuse("in_channels", [&](UnetInputs& i) { i.sample = b.input("s", {DType::F32, {2, 3, 8, 8}}); });
  refuse("cross_attention_dim", [&](UnetInputs& i) { i.context = b.input("c", {DType::F32, {14, 31}}); });
  refuse("13 text tokens", [&](UnetInputs& i) { i.context = b.input("c", {DType::F32, {13, 32}}); });
  refuse("text_time", [&](UnetInputs& i) { i.text_embeds = {}; });
  refuse("pooled", [&](UnetInputs& i) { i.text_embeds = b.input("p", {DType::F32, {2, 15}}); });
  refuse("time_ids", [&](UnetInputs& i) { i.time_ids = b.input("t", {DType::F32, {2, 5}}); });
}

}  // namespace
}  // namespace ldmpi::nn::test
