#pragma once
// Whole files at once: read with a cap, replaced atomically and durably.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ldmpi::io {

/// Replaces `path` with `bytes`: temporary file beside it, fsync, rename, fsync of the folder. Readers see the old or
/// the new content, never a mixture, also after a crash. Errors: NoPermission, CannotCreate if the temporary cannot be
/// made, IoError later on; the temporary is removed then.
void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// Makes an existing file's content durable.
void fsync_file(const std::filesystem::path& path);

/// Makes the names in a folder durable (after create, rename or unlink).
void fsync_directory(const std::filesystem::path& path);

/// The whole file. Errors: MissingInput, NoPermission, IoError; longer than `max_bytes` is BadData.
[[nodiscard]] std::vector<std::byte> read_file(const std::filesystem::path& path, std::uint64_t max_bytes);
[[nodiscard]] std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace ldmpi::io
