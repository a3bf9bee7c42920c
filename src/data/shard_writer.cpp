#include "data/shard_writer.h"

#include <bit>
#include <cmath>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/dtype.h"
#include "io/hdf5.h"

namespace ldmpi::data {
namespace {

std::vector<std::byte> stored(const std::vector<float>& values, DType dtype, const char* name,
                              const std::filesystem::path& path) {
  std::vector<std::byte> out(values.size() * size_of(dtype));
  if (values.empty()) return out;
  convert_from_float(values.data(), dtype, out.data(), values.size());
  constexpr float kLargestHalf = 65504.0F;
  if (dtype == DType::F16)
    for (const float value : values)
      require(!std::isfinite(value) || std::abs(value) <= kLargestHalf, Exit::BadData,
              "{}: {} holds {}, beyond f16: store it as f32", path.string(), name, value);
  return out;
}

void require_space(const std::filesystem::path& path, std::uint64_t bytes) {
  std::error_code error;
  const auto space = std::filesystem::space(std::filesystem::absolute(path).parent_path(), error);
  require(error || space.available > bytes, Exit::CannotCreate, "{} needs {} MiB, the disk has {} MiB left",
          path.string(), bytes >> 20, space.available >> 20);
}

}  // namespace

void write_shard(const std::filesystem::path& path, const ShardContent& content) {
  const ShardFacts& facts = content.facts;
  const std::uint64_t samples = content.prompt_index.size();
  const auto row = static_cast<std::uint64_t>(facts.latent.count()) * (facts.moments ? 2 : 1);
  const auto context = static_cast<std::uint64_t>(facts.context.count());
  LDMPI_CHECK(samples > 0 && content.latents.size() == samples * row, "{} latents", content.latents.size());
  const std::uint64_t prompts = content.prompts.size() / context;
  const auto width = static_cast<std::uint64_t>(facts.pooled_width);
  LDMPI_CHECK(prompts > 0 && content.prompts.size() == prompts * context && content.pooled.size() == prompts * width,
              "{} prompts", prompts);
  LDMPI_CHECK(content.time_ids.size() == (facts.time_ids ? samples * 6 : 0), "{} time ids", content.time_ids.size());

  const auto latents = stored(content.latents, facts.latent_type, "latents", path);
  const auto embeddings = stored(content.prompts, facts.prompt_type, "prompt_embeds", path);
  const auto pooled = stored(content.pooled, facts.prompt_type, "pooled_prompt_embeds", path);
  require_space(path, latents.size() + embeddings.size() + pooled.size() + (std::uint64_t{1} << 20));

  std::vector<std::uint32_t> crcs(samples);
  const std::size_t row_bytes = latents.size() / samples;
  for (std::size_t i = 0; i < samples; ++i) crcs[i] = crc32c(std::span(latents).subspan(i * row_bytes, row_bytes));
  std::vector<std::uint32_t> prompt_crcs(prompts);
  const std::size_t context_bytes = embeddings.size() / prompts;
  const std::size_t pooled_bytes = pooled.size() / prompts;
  for (std::size_t i = 0; i < prompts; ++i)
    prompt_crcs[i] = crc32c(std::span(pooled).subspan(i * pooled_bytes, pooled_bytes),
                            crc32c(std::span(embeddings).subspan(i * context_bytes, context_bytes)));

  io::Hdf5Writer writer(path);
  writer.attribute("format", std::string_view(kShardFormat));
  writer.attribute("format_version", kShardVersion);
  writer.attribute("scaling_factor", facts.scaling_factor);
  writer.attribute("shift", facts.shift);
  writer.attribute("codec", std::string_view(facts.codec));
  writer.attribute("text_encoder", std::string_view(facts.text_encoder));
  if (!content.recipe.empty()) writer.attribute("recipe", std::string_view(content.recipe));
  const auto rows = Shape{static_cast<std::int64_t>(samples)};
  const auto& latent = facts.latent;
  const auto stored = Shape{latent[0] * (facts.moments ? 2 : 1), latent[1], latent[2]};
  writer.write(facts.moments ? "moments" : "latents", facts.latent_type, stored.repeated(samples), latents);
  writer.write("prompt_embeds", facts.prompt_type, facts.context.repeated(prompts), embeddings);
  if (width > 0)
    writer.write("pooled_prompt_embeds", facts.prompt_type, Shape{facts.pooled_width}.repeated(prompts), pooled);
  writer.write("prompt_index", DType::U32, rows, std::as_bytes(std::span(content.prompt_index)));
  if (facts.time_ids)
    writer.write("time_ids", DType::F32, Shape{6}.repeated(samples), std::as_bytes(std::span(content.time_ids)));
  writer.write("crc32c", DType::U32, rows, std::as_bytes(std::span(crcs)));
  writer.write("prompt_crc32c", DType::U32, Shape{static_cast<std::int64_t>(prompts)},
               std::as_bytes(std::span(prompt_crcs)));
  if (!content.captions.empty()) writer.write_text("caption", content.captions);
  if (!content.keys.empty()) writer.write_text("key", content.keys);
  writer.commit();
}

std::string recipe_of(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return "";
  try {
    (void)Shard::open(path);
    return io::Hdf5Reader::open(path).text_attribute("recipe").value_or("");
  } catch (const Error&) {
    return "";  // not sound: it will be written again
  }
}

}  // namespace ldmpi::data
