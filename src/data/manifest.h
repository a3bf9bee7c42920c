#pragma once
// manifest.json: what a folder of shards holds, so that opening a data set needs no look into the shards.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/shard.h"
#include "data/shard_check.h"

namespace ldmpi::data {

inline constexpr const char* kManifestName = "manifest.json";

struct ManifestShard {
  std::string file;  ///< a plain name in the manifest's folder
  std::uint64_t bytes = 0;
  std::uint32_t file_crc = 0;
  ShardFacts facts;
  Statistics statistics;
};

struct Manifest {
  std::vector<ManifestShard> shards;  ///< in order of name, which is the order of sample ids
};

/// Nothing if the folder has none. Errors: BadData (not JSON, unknown version, checksum of the text, unsafe names).
[[nodiscard]] std::optional<Manifest> read_manifest(const std::filesystem::path& folder);

/// The same from a document that was read from `origin`. Errors: BadData.
[[nodiscard]] Manifest parse_manifest(const nlohmann::json& document, std::string_view origin);

/// Replaces the folder's manifest. Errors: CannotCreate, NoPermission, IoError.
void write_manifest(const std::filesystem::path& folder, const Manifest& manifest);

/// The *.h5 files of a folder, sorted by name.
[[nodiscard]] std::vector<std::filesystem::path> shard_files(const std::filesystem::path& folder);

}  // namespace ldmpi::data
