// config.json of a U-Net: what is read, what is refused, and that no text can bring the parser down.

#include <nlohmann/json.hpp>
#include <random>

#include "fixture.h"
#include "nn/structure.h"

namespace ldmpi::nn::test {
namespace {

using json = nlohmann::json;

TEST(UnetConfig, ReadsTheThreeFamilies) {
  const auto sd15 = shipped("sd15");
  EXPECT_EQ(sd15.heads, (std::vector<std::int64_t>{8, 8, 8, 8}));
  EXPECT_EQ(sd15.cross_attention_dim, 768);
  EXPECT_FALSE(sd15.linear_projection);
  EXPECT_EQ(sd15.down_attention, (std::vector<bool>{true, true, true, false}));
  EXPECT_EQ(sd15.up_attention, (std::vector<bool>{false, true, true, true}));
  const auto sd21 = shipped("sd21");
  EXPECT_EQ(sd21.heads, (std::vector<std::int64_t>{5, 10, 20, 20}));
  EXPECT_TRUE(sd21.linear_projection);
  const auto sdxl = shipped("sdxl");
  EXPECT_EQ(sdxl.transformer_layers, (std::vector<std::int64_t>{1, 2, 10}));
  EXPECT_EQ(sdxl.pooled_dim(), 1280);
  EXPECT_EQ(sdxl.time_embedding_dim(), 1280);
}

TEST(UnetConfig, AbsentFieldsTakeTheDefaultsOfDiffusers) {
  const auto config = parse_unet_config("{}", "empty");
  EXPECT_EQ(config.cross_attention_dim, 1280);
  EXPECT_EQ(config.block_out_channels, (std::vector<std::int64_t>{320, 640, 1280, 1280}));
  EXPECT_EQ(config.layers_per_block, (std::vector<std::int64_t>{2, 2, 2, 2}));
  EXPECT_EQ(config.heads, (std::vector<std::int64_t>{8, 8, 8, 8}));
  EXPECT_EQ(config.sample_size, 0);
}

TEST(UnetConfig, NumAttentionHeadsOverridesTheMisnamedField) {
  const auto config = parse_unet_config(R"({"attention_head_dim": 8, "num_attention_heads": [5, 10, 20, 20]})", "x");
  EXPECT_EQ(config.heads, (std::vector<std::int64_t>{5, 10, 20, 20}));
}

TEST(UnetConfig, WrittenConfigsReadBackEqual) {
  for (const char* model : {"sd15", "sd21", "sdxl", "quickstart"}) {
    const auto config = shipped(model);
    EXPECT_EQ(parse_unet_config(to_json(config), "written"), config) << model;
  }
  for (const char* family : {"sd15", "sd2", "sdxl"})
    for (const bool wide : {false, true}) {
      const auto config = fixture(family, wide);
      EXPECT_EQ(parse_unet_config(to_json(config), "written"), config) << family;
    }
}

TEST(UnetConfig, WritesEveryFieldOfADiffusersFileTheSame) {
  for (const char* model : {"sd15", "sd21", "sdxl", "quickstart"}) {
    const auto original = json::parse(shipped_text(model));
    const auto written = json::parse(to_json(shipped(model)));
    for (const auto& [name, value] : written.items()) EXPECT_EQ(value, original.at(name)) << model << ' ' << name;
  }
}

struct Refusal {
  const char* field;
  const char* value;
};

class UnetConfigRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(UnetConfigRefuses, NamingTheField) {
  auto document = json::parse(shipped_text("sd15"));
  document[GetParam().field] = json::parse(GetParam().value);
  expect_error(Exit::BadData, GetParam().field, [&] { (void)parse_unet_config(document.dump(), "a/config.json"); });
  expect_error(Exit::BadData, "a/config.json", [&] { (void)parse_unet_config(document.dump(), "a/config.json"); });
}

INSTANTIATE_TEST_SUITE_P(
    Fields, UnetConfigRefuses,
    testing::Values(Refusal{"class_embed_type", "\"timestep\""}, Refusal{"num_class_embeds", "1000"},
                    Refusal{"addition_embed_type", "\"text\""}, Refusal{"time_cond_proj_dim", "256"},
                    Refusal{"dual_cross_attention", "true"}, Refusal{"only_cross_attention", "true"},
                    Refusal{"resnet_time_scale_shift", "\"scale_shift\""}, Refusal{"encoder_hid_dim", "4096"},
                    Refusal{"mid_block_type", "\"UNetMidBlock2DSimpleCrossAttn\""}, Refusal{"dropout", "0.1"},
                    Refusal{"act_fn", "\"gelu\""}, Refusal{"downsample_padding", "0"}, Refusal{"conv_in_kernel", "1"},
                    Refusal{"time_embedding_type", "\"fourier\""}, Refusal{"attention_type", "\"gated\""},
                    Refusal{"mid_block_scale_factor", "2"}, Refusal{"center_input_sample", "true"},
                    Refusal{"some_new_field", "1"}, Refusal{"_class_name", "\"AutoencoderKL\""},
                    Refusal{"down_block_types", R"(["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"])"},
                    Refusal{"up_block_types", R"(["UpBlock2D"])"}, Refusal{"block_out_channels", "[320]"},
                    Refusal{"block_out_channels", "[]"}, Refusal{"block_out_channels", "[0, 640, 1280, 1280]"},
                    Refusal{"block_out_channels", "[320, 640, 1280, 1e9]"}, Refusal{"block_out_channels", "320"},
                    Refusal{"in_channels", "0"}, Refusal{"in_channels", "-4"}, Refusal{"in_channels", "4.5"},
                    Refusal{"in_channels", "\"4\""}, Refusal{"in_channels", "18446744073709551615"},
                    Refusal{"in_channels", "null"}, Refusal{"layers_per_block", "[2, 2]"},
                    Refusal{"layers_per_block", "1000"}, Refusal{"transformer_layers_per_block", "[[1], [2]]"},
                    Refusal{"attention_head_dim", "7"}, Refusal{"attention_head_dim", "0"},
                    Refusal{"cross_attention_dim", "[768, 768, 768, 768]"}, Refusal{"norm_num_groups", "33"},
                    Refusal{"norm_num_groups", "null"}, Refusal{"norm_eps", "0"}, Refusal{"freq_shift", "160"},
                    Refusal{"use_linear_projection", "1"}, Refusal{"sample_size", "[64, 64]"}));

TEST(UnetConfig, TextTimeNeedsWidthsThatFit) {
  auto document = json::parse(shipped_text("sdxl"));
  document["projection_class_embeddings_input_dim"] = 1536;
  expect_error(Exit::BadData, "projection_class_embeddings_input_dim",
               [&] { (void)parse_unet_config(document.dump(), "x"); });
  document["addition_time_embed_dim"] = nullptr;
  expect_error(Exit::BadData, "addition_time_embed_dim", [&] { (void)parse_unet_config(document.dump(), "x"); });
}

TEST(UnetConfig, RefusesTextThatIsNotOneObject) {
  for (const char* text : {"", "[]", "4", "{", "{}{}", "{\"in_channels\": 4, \"in_channels\": 4}", "\xff\xfe{}"})
    expect_error(Exit::BadData, "x", [&] { (void)parse_unet_config(text, "x"); });
  expect_error(Exit::BadData, "zero byte", [] { (void)parse_unet_config(std::string_view("{}\0{}", 5), "x"); });
  expect_error(Exit::BadData, "too deep", [] { (void)parse_unet_config(std::string(100000, '['), "x"); });
  expect_error(Exit::BadData, "too many", [] { (void)parse_unet_config(std::string(2 << 20, ' '), "x"); });
}

/// Accepted or Error(BadData); what is accepted describes a network and survives writing.
void parse_anything(const std::string& text) {
  try {
    const auto config = parse_unet_config(text, "mutant");
    ASSERT_EQ(parse_unet_config(to_json(config), "written"), config) << text;
    ASSERT_EQ(unet_structure(config).down.size(), config.levels());
  } catch (const Error& error) {
    ASSERT_EQ(error.code(), Exit::BadData) << error.what();
  }
}

TEST(UnetConfig, SurvivesDamagedText) {
  std::mt19937 random(1);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random()) % bound; };
  const std::string pieces[] = {"\"", "{", "}", "[",    "]",       ",",    ":",    "-",
                                "e",  "9", "0", "null", "\\u0000", "\xc3", "1e400"};
  for (int round = 0; round < 1000; ++round) {
    auto text = shipped_text(round % 2 == 0 ? "sdxl" : "quickstart");
    for (std::size_t n = 1 + below(4); n > 0; --n) {
      const auto at = below(text.size());
      switch (below(4)) {
        case 0: text[at] = static_cast<char>(below(256)); break;
        case 1: text.erase(at, 1 + below(40)); break;
        case 2: text.insert(at, pieces[below(std::size(pieces))]); break;
        default: text.insert(at, text.substr(below(text.size()), below(60))); break;
      }
      if (text.empty()) text = "x";
    }
    ASSERT_NO_FATAL_FAILURE(parse_anything(text));
  }
}

TEST(UnetConfig, SurvivesFieldsOfAnyValue) {
  std::mt19937 random(2);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random()) % bound; };
  const json values = json::parse(R"([null, true, false, 0, 1, -1, 2, 8, 16, 64, 4.5, 1e-30, 1e308, 9223372036854775807,
    -9223372036854775808, 18446744073709551615, "", "silu", "text_time", "DownBlock2D", [], [1], [1, 1, 1], [8, 16, 24],
    [64, 64, 64], [1, "a", null], [[1]], {}, {"a": {"b": []}}, ["UpBlock2D", "UpBlock2D", "UpBlock2D"],
    ["DownBlock2D", "DownBlock2D", "DownBlock2D"]])");
  for (int round = 0; round < 1000; ++round) {
    auto document = json::parse(shipped_text(round % 2 == 0 ? "sdxl" : "quickstart"));
    for (std::size_t n = 1 + below(3); n > 0; --n) {
      auto field = document.begin();
      std::advance(field, static_cast<std::ptrdiff_t>(below(document.size())));
      *field = values[below(values.size())];
    }
    ASSERT_NO_FATAL_FAILURE(parse_anything(document.dump()));
  }
}

}  // namespace
}  // namespace ldmpi::nn::test
