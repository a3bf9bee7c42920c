#pragma once
// What the tests of models share: the shipped configurations, and those of the reference fixtures in tests/fixtures.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

#include "base/check.h"
#include "nn/unet_config.h"

namespace ldmpi::nn::test {

inline std::string shipped_text(std::string_view model) {
  const char* root = std::getenv("LDMPI_SOURCE_DIR");
  require(root != nullptr, Exit::MissingInput, "LDMPI_SOURCE_DIR is not set");
  const auto path = fmt::format("{}/job_scripts/models/{}/unet/config.json", root, model);
  std::ifstream file(path);
  require(file.good(), Exit::MissingInput, "{} is missing", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline UnetConfig shipped(std::string_view model) {
  return parse_unet_config(shipped_text(model), model);
}

/// The six nets of the reference fixtures: three families, narrow and wide.
inline std::string fixture_text(std::string_view family, bool wide) {
  if (family == "sdxl")
    return fmt::format(R"({{"sample_size": 16, "center_input_sample": false,
      "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
      "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
      "block_out_channels": {}, "layers_per_block": 2, "norm_num_groups": {}, "cross_attention_dim": 32,
      "attention_head_dim": [2, 4], "use_linear_projection": true, "transformer_layers_per_block": [1, 2],
      "addition_embed_type": "text_time", "addition_time_embed_dim": 8,
      "projection_class_embeddings_input_dim": {}}})",
                       wide ? "[32, 64]" : "[12, 16]", wide ? 8 : 4, wide ? 80 : 64);
  const bool second = family == "sd2";
  return fmt::format(R"({{"sample_size": 16, "block_out_channels": {},
      "down_block_types": ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
      "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"], "act_fn": "silu",
      "norm_num_groups": {}, "cross_attention_dim": 32, "attention_head_dim": {}, "use_linear_projection": {}}})",
                     wide ? "[32, 64, 64]" : "[8, 16, 16]", wide ? 8 : 4,
                     !second ? "4"
                     : wide  ? "[2, 4, 8]"
                             : "[2, 4, 4]",
                     second);
}

inline UnetConfig fixture(std::string_view family, bool wide) {
  return parse_unet_config(fixture_text(family, wide), family);
}

/// Runs `action` and expects Error(code) whose message contains `part`.
inline void expect_error(Exit code, std::string_view part, const std::function<void()>& action) {
  try {
    action();
    ADD_FAILURE() << "no error; expected one with \"" << part << '"';
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos)
        << '"' << error.what() << "\" lacks \"" << part << '"';
  }
}

}  // namespace ldmpi::nn::test
