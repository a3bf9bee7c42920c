#include "data/shard_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/crc32c.h"
#include "data/convert.h"

namespace ldmpi::data {
namespace {

constexpr std::size_t kMostProblems = 100;

std::uint32_t crc_of_file(const std::filesystem::path& path, std::uint64_t bytes) {
  const auto file = io::open_for_reading(path);
  std::vector<std::byte> buffer(std::size_t{4} << 20);
  std::uint32_t crc = 0;
  for (std::uint64_t at = 0; at < bytes; at += buffer.size()) {
    const auto part =
        std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), bytes - at)));
    io::read_at(file, part, at, path);
    crc = crc32c(part, crc);
  }
  return crc;
}

}  // namespace

ShardReport check_shard(const Shard& shard) {
  const ShardFacts& facts = shard.facts();
  ShardReport report;
  const auto problem = [&](std::string text) {
    if (report.problems.size() < kMostProblems) report.problems.push_back(std::move(text));
  };
  std::vector<std::byte> scratch;
  std::vector<float> values;
  double sum = 0;
  double squares = 0;
  double count = 0;
  float smallest = std::numeric_limits<float>::infinity();
  float largest = -smallest;
  for (std::uint64_t row = 0; row < facts.samples; ++row) {
    try {
      values.resize(shard.latent_bytes() / size_of(facts.latent_type));
      if (!convert_scaled(shard.read_latent(row, scratch), facts.latent_type, 0.0F, 1.0F, values)) {
        problem(fmt::format("{}, row {}: the latent holds NaN or infinity", shard.path().string(), row));
        continue;
      }
      values.resize(static_cast<std::size_t>(facts.latent.count()));
      for (const float value : values) {
        sum += value;
        squares += static_cast<double>(value) * value;
        smallest = std::min(smallest, value);
        largest = std::max(largest, value);
      }
      count += static_cast<double>(values.size());
      if (facts.time_ids && !std::ranges::all_of(shard.time_ids(row), [](float v) { return std::isfinite(v); }))
        problem(fmt::format("{}, row {}: time_ids holds NaN or infinity", shard.path().string(), row));
    } catch (const Error& error) {
      problem(error.what());
    }
  }
  for (std::uint64_t prompt = 0; prompt < facts.prompts; ++prompt) {
    try {
      const auto stored = shard.read_prompt(prompt, scratch);
      values.resize(stored.size() / size_of(facts.prompt_type));
      if (!convert_scaled(stored, facts.prompt_type, 0.0F, 1.0F, values))
        problem(fmt::format("{}, prompt row {}: the embedding holds NaN or infinity", shard.path().string(), prompt));
    } catch (const Error& error) {
      problem(error.what());
    }
  }
  if (count > 0) {
    const double mean = sum / count;
    report.statistics = {mean, std::sqrt(std::max(0.0, squares / count - mean * mean)), smallest, largest};
  }
  report.file_crc = crc_of_file(shard.path(), shard.file_bytes());
  return report;
}

std::vector<std::string> conflicts(std::span<const ShardFile> shards) {
  std::vector<std::string> problems;
  std::map<std::pair<std::uint32_t, std::uint64_t>, const ShardFile*> seen;
  for (const auto& shard : shards) {
    ShardFacts common = shard.facts;  // what may differ is made equal
    const ShardFacts& first = shards.front().facts;
    common.samples = first.samples;
    common.latent = first.latent;
    common.latent_type = first.latent_type;
    common.prompt_type = first.prompt_type;
    common.prompts = first.prompts;
    common.content_crc = first.content_crc;
    for (const auto& difference : differences(first, common))
      problems.push_back(fmt::format("{} does not fit {}: {}", shard.path.string(),
                                     shards.front().path.filename().string(), difference));
    const auto [other, fresh] = seen.emplace(std::pair(shard.facts.content_crc, shard.facts.samples), &shard);
    if (!fresh)
      problems.push_back(fmt::format("{} holds the same samples as {}: remove one of them", shard.path.string(),
                                     other->second->path.filename().string()));
  }
  return problems;
}

}  // namespace ldmpi::data
