#pragma once
// Collects samples into shards, encodes captions once each, and closes a folder with its manifest.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <unordered_map>

#include "data/shard_writer.h"
#include "data/text_encoder.h"

namespace ldmpi::data_tools {

/// "shard-00003.h5"
[[nodiscard]] std::string shard_name(std::int64_t index);

/// Makes the folder if needed. Errors: CannotCreate if it holds shards that are not shard-00000.h5 .. of `shards`
/// (they would become part of the dataset), NoPermission.
void prepare_folder(const std::filesystem::path& folder, std::int64_t shards);

/// Reads all shards of the folder back and writes manifest.json. Errors: BadData listing what is wrong.
/// Prints one line about the dataset.
void finish_folder(const std::filesystem::path& folder);

/// One shard in the making, with prompts encoded by a text encoder and stored once each.
class ShardAssembler {
 public:
  /// `facts` gives types, the shapes of latent and context, scaling, and names.
  ShardAssembler(const data::ShardFacts& facts, const data::TextEncoder& encoder);

  /// `latents` raw [C,H,W] or [2C,H,W]; `time_ids` six numbers if the facts say so.
  void add(std::span<const float> latents, const std::string& caption, const std::string& key,
           std::span<const float> time_ids = {});
  [[nodiscard]] std::size_t samples() const noexcept { return content_.prompt_index.size(); }
  void write(const std::filesystem::path& path, std::string recipe);

 private:
  const data::TextEncoder& encoder_;
  data::ShardContent content_;
  std::unordered_map<std::string, std::uint32_t> rows_;
};

}  // namespace ldmpi::data_tools
