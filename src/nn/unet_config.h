#pragma once
// What a U-Net looks like: the fields of diffusers' UNet2DConditionModel config.json that this program supports.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ldmpi::nn {

/// Tokens of a prompt in every text encoder of the Stable Diffusion families (CLIP).
inline constexpr std::int64_t kClipTokens = 77;

/// Lists hold one number per level, outermost first. Made by parse_unet_config or checked by validate.
struct UnetConfig {
  std::int64_t sample_size = 64;  ///< latent side the model was made for; 0: not said
  std::int64_t in_channels = 4;
  std::int64_t out_channels = 4;
  std::vector<std::int64_t> block_out_channels{320, 640, 1280, 1280};
  std::vector<bool> down_attention{true, true, true, false};  ///< CrossAttnDownBlock2D, else DownBlock2D
  std::vector<bool> up_attention{false, true, true, true};    ///< CrossAttnUpBlock2D, else UpBlock2D; innermost first
  std::vector<std::int64_t> layers_per_block{2, 2, 2, 2};     ///< resnets of a down block; up blocks have one more
  std::vector<std::int64_t> transformer_layers{1, 1, 1, 1};   ///< transformer_layers_per_block
  std::vector<std::int64_t> heads{8, 8, 8, 8};                ///< attention_head_dim, in truth head counts
  std::int64_t cross_attention_dim = 768;
  bool linear_projection = false;      ///< use_linear_projection: proj_in, proj_out are [C,C], else [C,C,1,1]
  bool text_time = false;              ///< addition_embed_type "text_time" (SDXL)
  std::int64_t addition_time_dim = 0;  ///< addition_time_embed_dim: sinusoids per size number
  /// projection_class_embeddings_input_dim = pooled width + 6 * addition_time_dim
  std::int64_t addition_input_dim = 0;
  std::int64_t norm_groups = 32;
  double norm_epsilon = 1e-5;
  bool flip_sin_to_cos = true;
  std::int64_t freq_shift = 0;
  bool upcast_attention = false;  ///< carried along: scores are always computed in fp32

  [[nodiscard]] std::size_t levels() const noexcept { return block_out_channels.size(); }
  /// Width of the time embedding: 4 * block_out_channels[0].
  [[nodiscard]] std::int64_t time_embedding_dim() const noexcept { return 4 * block_out_channels.front(); }
  /// Width of the pooled text vector with text_time, else 0.
  [[nodiscard]] std::int64_t pooled_dim() const noexcept {
    return text_time ? addition_input_dim - 6 * addition_time_dim : 0;
  }
  friend bool operator==(const UnetConfig&, const UnetConfig&) = default;
};

/// Reads a diffusers unet/config.json. `origin` names the text in messages (a path). Fields left out take diffusers'
/// defaults; names that begin with `_` are ignored (but a `_class_name` of another class is not). Throws
/// Error(BadData) naming the field for unknown fields, values this program does not support, wrong types, sizes that do
/// not fit each other, and for text that is not one JSON object.
[[nodiscard]] UnetConfig parse_unet_config(std::string_view json_text, std::string_view origin);

/// A config.json that diffusers and parse_unet_config read back to the same network.
[[nodiscard]] std::string to_json(const UnetConfig& config);

}  // namespace ldmpi::nn
