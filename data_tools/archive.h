#pragma once
// Archives and compressed files (tar, zip, gz, ...) through libarchive.

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ldmpi::data_tools {

/// Reads an archive from front to back.
class ArchiveReader {
 public:
  /// Errors: MissingInput, NoPermission, BadData.
  explicit ArchiveReader(const std::filesystem::path& path);
  ArchiveReader(ArchiveReader&&) noexcept;
  ~ArchiveReader();

  /// Path of the next regular file within the archive; nothing at the end. Errors: BadData.
  [[nodiscard]] std::optional<std::string> next();
  /// Content of the file that next() named. Errors: BadData, also if longer than `max_bytes`.
  [[nodiscard]] std::vector<std::byte> content(std::size_t max_bytes);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The content of one compressed file (gz, bz2, xz, zst) or a plain one. Errors as ArchiveReader.
[[nodiscard]] std::vector<std::byte> read_compressed(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace ldmpi::data_tools
