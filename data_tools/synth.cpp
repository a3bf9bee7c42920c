// synth: samples that a small net can learn. Each of a few prompts has its own smooth pattern; a sample is the pattern
// of its prompt plus noise. Everything is a pure function of the seed and the sample's number.

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "assembler.h"
#include "base/check.h"
#include "base/rng.h"
#include "commands.h"
#include "data/shard_writer.h"
#include "options.h"

namespace ldmpi::data_tools {
namespace {

constexpr std::uint64_t kPrompts = 16;  // beside the empty one
constexpr float kNoise = 0.3F;
constexpr float kLogvar = -4.0F;
constexpr const char* kKinds[] = {"stripes", "waves", "checks", "ripples"};
constexpr const char* kSizes[] = {"fine", "narrow", "wide", "broad"};

struct Plan {
  std::int64_t seed = 0;
  std::int64_t samples = 512;
  std::int64_t shards = 4;
  std::vector<Shape> latents;
  bool moments = false;
  data::ShardFacts facts;
};

Draw draw(const Plan& plan, std::uint64_t kind, std::uint64_t index) {
  return {static_cast<std::uint64_t>(plan.seed), Purpose::Synthetic, (kind << 56) | index};
}

/// The patterns of all prompts, [prompt][C,H,W]: smooth waves of variance about 0.9, which the noise makes 1.
std::vector<std::vector<float>> make_patterns(const Plan& plan, const Shape& latent) {
  constexpr float kTurn = 2.0F * std::numbers::pi_v<float>;
  std::vector<std::vector<float>> patterns(kPrompts);
  for (std::uint64_t prompt = 0; prompt < kPrompts; ++prompt)
    for (std::int64_t c = 0; c < latent[0]; ++c) {
      const Draw numbers = draw(plan, 1, (prompt << 32) | static_cast<std::uint64_t>(c));
      const auto down = static_cast<float>(1 + numbers.below(1, 3)) / static_cast<float>(latent[1]);
      const auto across = static_cast<float>(1 + numbers.below(2, 3)) / static_cast<float>(latent[2]);
      for (std::int64_t y = 0; y < latent[1]; ++y)
        for (std::int64_t x = 0; x < latent[2]; ++x) {
          const float angle = down * static_cast<float>(y) + across * static_cast<float>(x) + numbers.uniform(0);
          patterns[prompt].push_back(1.2F * std::sin(kTurn * angle) + 0.4F * numbers.normal(3));
        }
    }
  return patterns;
}

/// A shard is made in memory, all of them must fit onto the disk: said before work that ends badly.
void check_size(const Plan& plan, const std::string& out) {
  std::int64_t largest = 0;
  for (const auto& latent : plan.latents) largest = std::max(largest, latent.count());
  const auto values = static_cast<double>(plan.samples) * static_cast<double>(largest) * (plan.moments ? 2 : 1);
  const double shard_gib = values / static_cast<double>(plan.shards) * sizeof(float) / 0x1p30;
  require(shard_gib <= 4, Exit::BadConfig, "{:.1f} GiB in memory for one shard, 4 are allowed: use more --shards",
          shard_gib);
  const double bytes = values * static_cast<double>(size_of(plan.facts.latent_type));
  const auto free = std::filesystem::space(out).available;
  require(bytes <= static_cast<double>(free), Exit::CannotCreate, "{}: {:.1f} GiB are needed, {:.1f} are free there",
          out, bytes / 0x1p30, static_cast<double>(free) / 0x1p30);
}

data::ShardContent make(const Plan& plan, std::int64_t shard, std::uint64_t first, std::uint64_t count) {
  data::ShardContent content;
  content.facts = plan.facts;
  content.facts.latent = plan.latents[static_cast<std::size_t>(shard) % plan.latents.size()];
  const Shape& latent = content.facts.latent;
  const auto context = static_cast<std::uint64_t>(plan.facts.context.count());
  const auto pooled = static_cast<std::uint64_t>(plan.facts.pooled_width);
  for (std::uint64_t prompt = 0; prompt <= kPrompts; ++prompt) {
    const Draw numbers = draw(plan, 2, prompt);
    for (std::uint64_t i = 0; i < context; ++i) content.prompts.push_back(prompt == 0 ? 0.0F : numbers.normal(i));
    for (std::uint64_t i = 0; i < pooled; ++i)
      content.pooled.push_back(prompt == 0 ? 0.0F : numbers.normal(context + i));
  }
  const auto pattern = make_patterns(plan, latent);
  for (std::uint64_t sample = first; sample < first + count; ++sample) {
    const auto kind = draw(plan, 3, sample).below(0, kPrompts);
    const Draw noise = draw(plan, 4, sample);
    for (std::uint64_t i = 0; i < pattern[kind].size(); i += 4) {
      const Philox4 words = noise.words(i / 4);
      const std::array<std::uint32_t, 4> four{words.x, words.y, words.z, words.w};
      for (std::uint64_t j = 0; j < 4 && i + j < pattern[kind].size(); ++j)
        content.latents.push_back(pattern[kind][i + j] + kNoise * normal_from_uniform(uniform_from_bits(four[j])));
    }
    if (plan.moments) content.latents.insert(content.latents.end(), static_cast<std::size_t>(latent.count()), kLogvar);
    content.prompt_index.push_back(kind + 1);
    content.captions.push_back(fmt::format("{} {}", kSizes[kind % 4], kKinds[kind / 4]));
    content.keys.push_back(fmt::format("synth/{}", sample));
    if (plan.facts.time_ids) {
      const auto side = static_cast<float>(latent[1] * 8);
      content.time_ids.insert(content.time_ids.end(),
                              {side, static_cast<float>(latent[2] * 8), 0, 0, side, static_cast<float>(latent[2] * 8)});
    }
  }
  return content;
}

}  // namespace

void run_synth(Arguments arguments) {
  Plan plan;
  std::string out;
  std::string latents = "4x16x16";
  std::string context = "8x32";
  std::string dtype = "f16";
  bool time_ids = false;
  Options options("synth", "Makes a synthetic dataset: a pattern for each of 16 prompts, plus noise.");
  options.add("out", &out, "FOLDER", "where the shards go", Options::Required);
  options.add("samples", &plan.samples, "N", "samples in all");
  options.add("shards", &plan.shards, "N", "shard files");
  options.add("latent", &latents, "CxHxW[,CxHxW...]", "latent shapes; shards take them in turn");
  options.add("context", &context, "TxD", "tokens and width of a prompt embedding");
  options.add("pooled", &plan.facts.pooled_width, "E", "width of a pooled embedding, 0 = none");
  options.add("time_ids", &time_ids, "", "store SDXL time ids");
  options.add("moments", &plan.moments, "", "store mean and log-variance instead of latents");
  options.add("dtype", &dtype, "f16|f32", "type of the stored numbers");
  options.add("seed", &plan.seed, "N", "seed of everything");
  if (!options.parse(arguments)) return;
  for (const auto& text : split(latents, ',')) plan.latents.push_back(parse_shape(text, 3, "latent"));
  plan.facts.context = parse_shape(context, 2, "context");
  require(dtype == "f16" || dtype == "f32", Exit::BadConfig, "--dtype: \"{}\" is not f16 or f32", dtype);
  plan.facts.latent_type = plan.facts.prompt_type = *dtype_from_name(dtype);
  plan.facts.moments = plan.moments;
  plan.facts.time_ids = time_ids;
  plan.facts.codec = "synth:v1";
  plan.facts.text_encoder = "synth:v1";
  require(plan.shards >= static_cast<std::int64_t>(plan.latents.size()) && plan.samples >= plan.shards, Exit::BadConfig,
          "{} samples in {} shards of {} shapes: every shard needs a sample, every shape a shard", plan.samples,
          plan.shards, plan.latents.size());
  require(plan.facts.pooled_width >= 0, Exit::BadConfig, "--pooled is negative");

  prepare_folder(out, plan.shards);
  check_size(plan, out);
  const auto samples = static_cast<std::uint64_t>(plan.samples);
  const auto shards = static_cast<std::uint64_t>(plan.shards);
  for (std::uint64_t shard = 0; shard < shards; ++shard) {
    const std::uint64_t first = samples * shard / shards;
    data::write_shard(std::filesystem::path(out) / shard_name(static_cast<std::int64_t>(shard)),
                      make(plan, static_cast<std::int64_t>(shard), first, samples * (shard + 1) / shards - first));
  }
  finish_folder(out);
}

}  // namespace ldmpi::data_tools
