#pragma once
// Writes one shard file of format v1.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/shard.h"

namespace ldmpi::data {

/// A shard in memory. `facts` gives types, shapes, scaling and names; samples, prompts and content_crc are derived.
struct ShardContent {
  ShardFacts facts;
  std::vector<float> latents;               ///< [N,C,H,W] or [N,2C,H,W] (mean, logvar), raw
  std::vector<float> prompts;               ///< [P,T,D]; row 0 is the empty prompt
  std::vector<float> pooled;                ///< [P,E] or empty
  std::vector<std::uint32_t> prompt_index;  ///< [N]
  std::vector<float> time_ids;              ///< [N,6] or empty
  std::vector<std::string> captions;        ///< [N] or empty
  std::vector<std::string> keys;            ///< [N] or empty: where each sample came from
  std::string recipe;                       ///< attribute `recipe`: what it was made from and how; equal = up to date
};

/// Writes under a temporary name, reopens, checks, syncs and renames. Errors: BadData for a value beyond the range of
/// f16, CannotCreate (also too little space), NoPermission, IoError.
void write_shard(const std::filesystem::path& path, const ShardContent& content);

/// The attribute `recipe` of a finished shard, empty if there is no such file or it is not sound.
[[nodiscard]] std::string recipe_of(const std::filesystem::path& path);

}  // namespace ldmpi::data
