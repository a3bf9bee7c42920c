#include "assembler.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "data/manifest.h"
#include "data/shard_check.h"
#include "io/file.h"

namespace ldmpi::data_tools {

std::string shard_name(std::int64_t index) {
  return fmt::format("shard-{:05}.h5", index);
}

void prepare_folder(const std::filesystem::path& folder, std::int64_t shards) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) io::fail_create("create the folder", folder, error.value());
  std::set<std::string> expected;
  for (std::int64_t i = 0; i < shards; ++i) expected.insert(shard_name(i));
  std::string others;
  for (const auto& file : data::shard_files(folder))
    if (!expected.contains(file.filename().string())) others += "\n  " + file.filename().string();
  require(others.empty(), Exit::CannotCreate, "{} already holds other shards; choose another folder or remove them:{}",
          folder.string(), others);
  // While shards change the old manifest would be wrong.
  std::filesystem::remove(folder / data::kManifestName, error);
  if (error) io::fail_create("remove", folder / data::kManifestName, error.value());
}

void finish_folder(const std::filesystem::path& folder) {
  data::Manifest manifest;
  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;
  std::string problems;
  for (const auto& file : data::shard_files(folder)) {
    const auto shard = data::Shard::open(file);
    const auto report = data::check_shard(shard);
    for (const auto& problem : report.problems) problems += "\n  " + problem;
    manifest.shards.push_back(
        {file.filename().string(), shard.file_bytes(), report.file_crc, shard.facts(), report.statistics});
    samples += shard.facts().samples;
    bytes += shard.file_bytes();
  }
  require(problems.empty(), Exit::BadData, "{} is damaged, no manifest was written:{}", folder.string(), problems);
  data::write_manifest(folder, manifest);
  fmt::print("{}: {} samples in {} shards, {:.1f} MiB\n", folder.string(), samples, manifest.shards.size(),
             static_cast<double>(bytes) / 1048576.0);
}

ShardAssembler::ShardAssembler(const data::ShardFacts& facts, const data::TextEncoder& encoder) : encoder_(encoder) {
  content_.facts = facts;
  content_.facts.context = encoder.context();
  content_.facts.text_encoder = encoder.id();
  content_.prompts = encoder.encode("");
  rows_.emplace("", 0);
}

void ShardAssembler::add(std::span<const float> latents, const std::string& caption, const std::string& key,
                         std::span<const float> time_ids) {
  const auto [row, fresh] = rows_.try_emplace(caption, static_cast<std::uint32_t>(rows_.size()));
  if (fresh) {
    const auto embedding = encoder_.encode(caption);
    content_.prompts.insert(content_.prompts.end(), embedding.begin(), embedding.end());
  }
  content_.prompt_index.push_back(row->second);
  content_.latents.insert(content_.latents.end(), latents.begin(), latents.end());
  content_.time_ids.insert(content_.time_ids.end(), time_ids.begin(), time_ids.end());
  content_.captions.push_back(caption);
  content_.keys.push_back(key);
}

void ShardAssembler::write(const std::filesystem::path& path, std::string recipe) {
  content_.recipe = std::move(recipe);
  data::write_shard(path, content_);
}

}  // namespace ldmpi::data_tools
