#include "nn/unet_config.h"

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "nn/json_fields.h"

namespace ldmpi::nn {

namespace {

constexpr std::size_t kMaxLevels = 8;
constexpr JsonFields::Range kChannels{1, 1 << 14};

/// Fields of diffusers' class that change the network in ways this program does not have: only these values pass.
void refuse_unsupported(JsonFields& fields) {
  fields.only("center_input_sample", {"false"});
  fields.only("only_cross_attention", {"false", "null"});
  fields.only("downsample_padding", {"1"});
  fields.only("mid_block_scale_factor", {"1"});
  fields.only("mid_block_type", {R"("UNetMidBlock2DCrossAttn")"});
  fields.only("dropout", {"0"});
  fields.only("act_fn", {R"("silu")", R"("swish")"});
  fields.only("reverse_transformer_layers_per_block", {"null"});
  fields.only("encoder_hid_dim", {"null"});
  fields.only("encoder_hid_dim_type", {"null"});
  fields.only("dual_cross_attention", {"false", "null"});
  fields.only("class_embed_type", {"null"});
  fields.only("num_class_embeds", {"null"});
  fields.only("class_embeddings_concat", {"false", "null"});
  fields.only("resnet_time_scale_shift", {R"("default")"});
  fields.only("resnet_skip_time_act", {"false", "null"});
  fields.only("resnet_out_scale_factor", {"1"});
  fields.only("time_embedding_type", {R"("positional")", "null"});
  fields.only("time_embedding_dim", {"null"});
  fields.only("time_embedding_act_fn", {"null"});
  fields.only("timestep_post_act", {"null"});
  fields.only("time_cond_proj_dim", {"null"});
  fields.only("conv_in_kernel", {"3"});
  fields.only("conv_out_kernel", {"3"});
  fields.only("attention_type", {R"("default")", "null"});
  fields.only("mid_block_only_cross_attention", {"null", "false"});
  fields.only("cross_attention_norm", {"null"});
  fields.only("addition_embed_type_num_heads", {"64", "null"});  // read for other embedding types only
}

std::vector<bool> attention_of(const std::vector<std::string>& types) {
  std::vector<bool> result;
  for (const auto& type : types) result.push_back(type.starts_with("CrossAttn"));
  return result;
}

void read_blocks(JsonFields& fields, UnetConfig& config) {
  const auto down = fields.words(
      "down_block_types", {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"},
      kMaxLevels, {"CrossAttnDownBlock2D", "DownBlock2D"});
  const auto up =
      fields.words("up_block_types", {"UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"},
                   kMaxLevels, {"CrossAttnUpBlock2D", "UpBlock2D"});
  config.block_out_channels = fields.integers("block_out_channels", config.block_out_channels, 0, kChannels);
  const auto levels = config.levels();
  const auto one_per_level = fmt::format("one block a level is needed: `block_out_channels` has {}", levels);
  fields.expect(down.size() == levels, "down_block_types", one_per_level);
  fields.expect(up.size() == levels, "up_block_types", one_per_level);
  config.down_attention = attention_of(down);
  config.up_attention = attention_of(up);
  const auto every_level = [&](std::int64_t value) { return std::vector<std::int64_t>(levels, value); };
  config.layers_per_block = fields.integers("layers_per_block", every_level(2), levels, {1, 32});
  config.transformer_layers = fields.integers("transformer_layers_per_block", every_level(1), levels, {1, 64});
  config.heads = fields.integers("attention_head_dim", every_level(8), levels, {1, 1024});
  if (fields.given("num_attention_heads"))
    config.heads = fields.integers("num_attention_heads", config.heads, levels, {1, 1024});
}

void read_addition(JsonFields& fields, UnetConfig& config) {
  const bool dim_given = fields.given("addition_time_embed_dim");
  const bool input_given = fields.given("projection_class_embeddings_input_dim");
  config.text_time =
      fields.given("addition_embed_type") && fields.word("addition_embed_type", "", {"text_time"}) == "text_time";
  if (!config.text_time) return;  // diffusers reads the two widths for text_time only
  fields.expect(dim_given, "addition_time_embed_dim", "needed with addition_embed_type text_time");
  fields.expect(input_given, "projection_class_embeddings_input_dim", "needed with addition_embed_type text_time");
  config.addition_time_dim = fields.integer("addition_time_embed_dim", 0, {2, 1 << 14});
  config.addition_input_dim = fields.integer("projection_class_embeddings_input_dim", 0, {1, 1 << 18});
  fields.expect(config.addition_time_dim % 2 == 0, "addition_time_embed_dim", "an even number is needed");
  fields.expect(config.pooled_dim() >= 1, "projection_class_embeddings_input_dim",
                fmt::format("must exceed 6 * addition_time_embed_dim = {}: the rest is the pooled text",
                            6 * config.addition_time_dim));
}

/// Sizes that must divide each other.
void check_divisibility(const JsonFields& fields, const UnetConfig& config) {
  const auto levels = config.levels();
  fields.expect(config.block_out_channels.front() % 2 == 0, "block_out_channels",
                "the first must be even: the time embedding has as many sinusoids");
  // The sinusoids' exponents are divided by half the width less the shift.
  fields.expect(config.freq_shift < config.block_out_channels.front() / 2, "freq_shift",
                "must be below half of the first of `block_out_channels`");
  fields.expect(!config.text_time || config.freq_shift < config.addition_time_dim / 2, "freq_shift",
                "must be below half of `addition_time_embed_dim`");
  for (std::size_t i = 0; i < levels; ++i) {
    const auto channels = config.block_out_channels[i];
    fields.expect(channels % config.norm_groups == 0, "norm_num_groups",
                  fmt::format("{} channels do not divide into {} groups", channels, config.norm_groups));
    const bool attention = config.down_attention[i] || config.up_attention[levels - 1 - i] || i + 1 == levels;
    fields.expect(
        !attention || channels % config.heads[i] == 0, "attention_head_dim",
        fmt::format("(the number of heads) {} channels do not divide into {} heads", channels, config.heads[i]));
  }
}

/// One number where all levels have the same, else the list.
nlohmann::json compact(const std::vector<std::int64_t>& values) {
  if (std::equal(values.begin() + 1, values.end(), values.begin())) return values.front();
  return values;
}

std::vector<std::string> types_of(const std::vector<bool>& attention, const char* direction) {
  std::vector<std::string> result;
  for (const bool with : attention) result.push_back(fmt::format("{}{}Block2D", with ? "CrossAttn" : "", direction));
  return result;
}

}  // namespace

UnetConfig parse_unet_config(std::string_view json_text, std::string_view origin) {
  JsonFields fields(json_text, origin, "U-Net config");
  (void)fields.word("_class_name", "UNet2DConditionModel", {"UNet2DConditionModel"});
  UnetConfig config;
  if (fields.given("sample_size"))
    config.sample_size = fields.integer("sample_size", 0, {1, 1 << 16});
  else
    config.sample_size = 0;
  config.in_channels = fields.integer("in_channels", 4, {1, 1 << 12});
  config.out_channels = fields.integer("out_channels", 4, {1, 1 << 12});
  config.cross_attention_dim = fields.integer("cross_attention_dim", 1280, kChannels);
  config.linear_projection = fields.boolean("use_linear_projection", false);
  config.norm_groups = fields.integer("norm_num_groups", 32, kChannels);
  config.norm_epsilon = fields.number("norm_eps", 1e-5, 1e-12, 1);
  config.flip_sin_to_cos = fields.boolean("flip_sin_to_cos", true);
  config.freq_shift = fields.integer("freq_shift", 0, {0, 1 << 13});
  config.upcast_attention = fields.given("upcast_attention") && fields.boolean("upcast_attention", false);
  read_blocks(fields, config);
  read_addition(fields, config);
  refuse_unsupported(fields);
  fields.refuse_others();
  check_divisibility(fields, config);
  return config;
}

std::string to_json(const UnetConfig& config) {
  using Json = nlohmann::ordered_json;
  const auto or_null = [](bool given, std::int64_t value) { return given ? Json(value) : Json(nullptr); };
  const Json result{
      {"_class_name", "UNet2DConditionModel"},
      {"_diffusers_version", "0.21.4"},
      {"act_fn", "silu"},
      {"addition_embed_type", config.text_time ? Json("text_time") : Json(nullptr)},
      {"addition_time_embed_dim", or_null(config.text_time, config.addition_time_dim)},
      {"attention_head_dim", compact(config.heads)},
      {"block_out_channels", config.block_out_channels},
      {"center_input_sample", false},
      {"cross_attention_dim", config.cross_attention_dim},
      {"down_block_types", types_of(config.down_attention, "Down")},
      {"downsample_padding", 1},
      {"flip_sin_to_cos", config.flip_sin_to_cos},
      {"freq_shift", config.freq_shift},
      {"in_channels", config.in_channels},
      {"layers_per_block", compact(config.layers_per_block)},
      {"mid_block_scale_factor", 1},
      {"mid_block_type", "UNetMidBlock2DCrossAttn"},
      {"norm_eps", config.norm_epsilon},
      {"norm_num_groups", config.norm_groups},
      {"num_attention_heads", nullptr},
      {"out_channels", config.out_channels},
      {"projection_class_embeddings_input_dim", or_null(config.text_time, config.addition_input_dim)},
      {"sample_size", or_null(config.sample_size != 0, config.sample_size)},
      {"transformer_layers_per_block", compact(config.transformer_layers)},
      {"up_block_types", types_of(config.up_attention, "Up")},
      {"upcast_attention", config.upcast_attention},
      {"use_linear_projection", config.linear_projection},
  };
  return result.dump(2) + "\n";
}

}  // namespace ldmpi::nn
