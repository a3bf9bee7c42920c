#include "io/weights.h"

#include "io/ldm_names.h"
#include "scratch.h"
#include "unet_names.h"

namespace ldmpi::io {
namespace {

using test::expect_error;
using test::put;
namespace fs = std::filesystem;

/// A safetensors file of one-element tensors, all with the same value.
void put_weights(const fs::path& path, const std::vector<std::string>& names, float value, DType type = DType::F32) {
  fs::create_directories(path.parent_path());
  std::vector<TensorSpec> specs;
  for (const std::string& name : names) specs.push_back({name, type, {1}});
  SafetensorsWriter writer(path, specs);
  for (std::size_t i = 0; i < specs.size(); ++i) writer.write(i, std::span(&value, 1));
  writer.finish();
}

void put_unet(const fs::path& folder, float value) {
  put_weights(folder / "diffusion_pytorch_model.safetensors", {"conv_in.weight"}, value);
  put(folder / "config.json", "{}");
}

float value_of(const WeightSource& source, std::string_view name = "conv_in.weight") {
  float value = 0;
  source.read_float(name, std::span(&value, 1));
  return value;
}

class WeightsTest : public testing::Test {
 protected:
  test::Scratch folder_;
};

TEST_F(WeightsTest, OneFileWithAndWithoutConfigBesideIt) {
  put_weights(folder_ / "model.safetensors", {"conv_in.weight", "conv_out.weight"}, 2, DType::BF16);
  EXPECT_EQ(find_weights(folder_ / "model.safetensors").config, std::nullopt);
  put(folder_ / "config.json", "{}");
  const WeightSource source(folder_ / "model.safetensors");
  EXPECT_EQ(source.place().config, folder_ / "config.json");
  EXPECT_FALSE(source.is_ldm());
  EXPECT_EQ(source.tensors().size(), 2U);
  EXPECT_EQ(source.find("conv_out.weight")->dtype, DType::BF16);
  EXPECT_EQ(source.find("x"), nullptr);
  EXPECT_EQ(value_of(source), 2);
  expect_error(Exit::BadData, "\"x\"", [&] { (void)value_of(source, "x"); });
}

TEST_F(WeightsTest, UnetFolderPrefersFullPrecision) {
  put_weights(folder_ / "diffusion_pytorch_model.fp16.safetensors", {"conv_in.weight"}, 1, DType::F16);
  EXPECT_EQ(value_of(WeightSource(folder_.path())), 1);
  put_unet(folder_.path(), 2);
  const WeightSource source(folder_.path());
  EXPECT_EQ(value_of(source), 2);
  EXPECT_EQ(source.place().config, folder_ / "config.json");
  EXPECT_EQ(source.place().pipeline, std::nullopt);
}

TEST_F(WeightsTest, PipelineFolder) {
  put_unet(folder_ / "unet", 1);
  put_unet(folder_ / "unet_ema", 2);
  EXPECT_EQ(find_weights(folder_.path()).pipeline, std::nullopt);
  put(folder_ / "model_index.json", "{}");
  const WeightSource trained(folder_.path());
  EXPECT_EQ(trained.place().pipeline, folder_.path());
  EXPECT_EQ(value_of(trained), 1);
  EXPECT_FALSE(trained.place().is_average);
  const WeightSource average(folder_.path(), WeightChoice::Average);
  EXPECT_EQ(value_of(average), 2);
  EXPECT_TRUE(average.place().is_average);
}

TEST_F(WeightsTest, RunFolder) {
  const fs::path checkpoints = folder_ / "checkpoints";
  for (const int step : {10, 20, 30}) {
    const fs::path folder = checkpoints / fmt::format("step-{:08}", step);
    put_unet(folder / "unet", static_cast<float>(step));
    if (step != 30) put(folder / "MANIFEST.json", "{}");
  }
  put_unet(checkpoints / "step-00000040.tmp-1/unet", 40);
  put(checkpoints / "step-00000040.tmp-1/MANIFEST.json", "{}");
  EXPECT_EQ(value_of(WeightSource(folder_.path())), 20) << "the newest complete one";
  put(checkpoints / "latest", "step-00000010\n");
  EXPECT_EQ(value_of(WeightSource(folder_.path())), 10);
  put(checkpoints / "latest", "../../elsewhere");
  EXPECT_EQ(value_of(WeightSource(folder_.path())), 20) << "latest names nothing in this folder";
  EXPECT_EQ(value_of(WeightSource(checkpoints / "step-00000030")), 30) << "given by name";
  put_unet(folder_ / "final/unet", 99);
  EXPECT_EQ(value_of(WeightSource(folder_.path())), 99);
  EXPECT_EQ(value_of(WeightSource(folder_.path(), WeightChoice::Trained)), 20) << "final/ may hold the average";
  put_unet(checkpoints / "step-00000020/unet_ema", 21);
  EXPECT_EQ(value_of(WeightSource(folder_.path(), WeightChoice::Average)), 21);
  fs::remove_all(checkpoints);
  const WeightSource final(folder_.path(), WeightChoice::Average);
  EXPECT_EQ(value_of(final), 99);
  EXPECT_FALSE(final.place().is_average);
}

TEST_F(WeightsTest, ShardsByIndex) {
  put_weights(folder_ / "a.safetensors", {"conv_in.weight", "conv_in.bias"}, 1);
  put_weights(folder_ / "b.safetensors", {"conv_out.weight"}, 2);
  const fs::path index = folder_ / "diffusion_pytorch_model.safetensors.index.json";
  put(index, R"({"metadata":{"total_size":12},"weight_map":{"conv_in.weight":"a.safetensors",)"
             R"("conv_in.bias":"a.safetensors","conv_out.weight":"b.safetensors"}})");
  for (const fs::path& place : {index, folder_.path()}) {
    const WeightSource source(place);
    EXPECT_EQ(source.tensors().size(), 3U);
    EXPECT_EQ(value_of(source, "conv_in.bias"), 1);
    EXPECT_EQ(value_of(source, "conv_out.weight"), 2);
  }
}

TEST_F(WeightsTest, HostileIndexes) {
  put_weights(folder_ / "secret.safetensors", {"w"}, 1);
  const fs::path index = folder_ / "sub/m.safetensors.index.json";
  const auto refuse = [&](const std::string& text, std::string_view part, Exit code = Exit::BadData) {
    put(index, text);
    expect_error(code, part, [&] { WeightSource source(index); });
  };
  const auto map = [](const std::string& file) { return R"({"weight_map":{"w":)" + file + "}}"; };
  for (const std::string file : {"\"../secret.safetensors\"", "\"/etc/passwd\"", "\"\"", "\"..\"", "\".\"", "\"a/b\"",
                                 "\"secret.safetensors/\""})
    refuse(map(file), "plain file name");
  refuse(map("1"), "no file name");
  refuse(map("\"absent.safetensors\""), "absent.safetensors", Exit::MissingInput);
  refuse("[]", "weight_map");
  refuse("{}", "weight_map");
  refuse(R"({"weight_map":[]})", "weight_map");
  refuse(R"({"weight_map":{}})", "no tensors");
  refuse("{", "line 1");
  put_weights(folder_ / "sub/a.safetensors", {"v"}, 1);
  refuse(map("\"a.safetensors\""), "does not hold it");
}

TEST_F(WeightsTest, SingleFileCheckpointGetsDiffusersNames) {
  const LdmNames translation({4, 2, {false, true, true, true}});
  const std::vector<std::string> names = test::UnetNames(test::sd15()).names();
  std::vector<std::string> stored{"first_stage_model.decoder.conv_in.weight", "model_ema.decay"};
  for (const std::string& name : names) stored.push_back(*translation.to_ldm(name));
  put_weights(folder_ / "v1-5.safetensors", stored, 5, DType::F16);
  const WeightSource source(folder_ / "v1-5.safetensors");
  EXPECT_TRUE(source.is_ldm());
  EXPECT_EQ(source.tensors().size(), names.size());
  for (const std::string& name : names) ASSERT_NE(source.find(name), nullptr) << name;
  EXPECT_EQ(value_of(source, "up_blocks.3.attentions.2.proj_out.bias"), 5);

  stored.push_back(std::string(kLdmPrefix) + "input_blocks.1.0.lora.weight");
  put_weights(folder_ / "odd.safetensors", stored, 5);
  expect_error(Exit::BadData, "no place in a U-Net", [&] { WeightSource odd(folder_ / "odd.safetensors"); });
  put_weights(folder_ / "part.safetensors", {stored[5]}, 5);
  expect_error(Exit::BadData, "input_blocks", [&] { WeightSource part(folder_ / "part.safetensors"); });
}

TEST_F(WeightsTest, WhatIsMissingIsNamed) {
  expect_error(Exit::MissingInput, "does not exist", [&] { WeightSource source(folder_ / "absent"); });
  expect_error(Exit::MissingInput, "diffusion_pytorch_model.safetensors", [&] { WeightSource source(folder_.path()); });
  fs::create_directories(folder_ / "checkpoints");
  expect_error(Exit::MissingInput, "final/unet/", [&] { WeightSource source(folder_.path()); });
  put(folder_ / "unet/diffusion_pytorch_model.bin", "x");
  expect_error(Exit::BadData, "pickle", [&] { WeightSource source(folder_.path()); });
  put(folder_ / "model.ckpt", "x");
  expect_error(Exit::BadData, "pickle", [&] { WeightSource source(folder_ / "model.ckpt"); });
  put(folder_ / "empty.safetensors", std::string("\2\0\0\0\0\0\0\0{}", 10));
  expect_error(Exit::BadData, "no tensors", [&] { WeightSource source(folder_ / "empty.safetensors"); });
}

}  // namespace
}  // namespace ldmpi::io
