#pragma once
// MANIFEST.json: what a complete checkpoint consists of. A folder without one is not a checkpoint.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ldmpi::train {

inline constexpr int kCheckpointFormat = 1;

struct ManifestFile {
  std::uint64_t bytes = 0;
  std::uint32_t crc = 0;                         ///< CRC32C of the whole file
  std::map<std::string, std::uint32_t> tensors;  ///< CRC32C of each tensor's stored bytes; empty for texts

  friend bool operator==(const ManifestFile&, const ManifestFile&) = default;
};

struct Manifest {
  int format = kCheckpointFormat;
  std::string program;  ///< version of the program that wrote it
  std::int64_t step = 0;
  std::uint64_t seed = 0;
  std::uint64_t cursor = 0;
  int world_size = 0;
  std::int64_t total_batch_size = 0;
  std::map<std::string, ManifestFile, std::less<>> files;  ///< by relative path; all but the manifest itself

  friend bool operator==(const Manifest&, const Manifest&) = default;
};

/// JSON text that parse_manifest reads back to an equal manifest.
[[nodiscard]] std::string to_json(const Manifest& manifest);

/// Throws Error(BadData) with `name` and the reason for text that is not a manifest or names a file outside of its
/// folder; Error(MissingInput) for a format newer than kCheckpointFormat.
[[nodiscard]] Manifest parse_manifest(std::string_view json, std::string_view name);

}  // namespace ldmpi::train
