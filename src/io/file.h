#pragma once
// Files as descriptors: open, positioned whole reads and writes, and errors that carry errno text and exit code.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "base/handle.h"

namespace ldmpi::io {

void close_descriptor(int descriptor) noexcept;

/// An open file descriptor, closed on destruction.
using FileDescriptor = Handle<int, &close_descriptor, -1>;

/// Throws Error for a failed system call: "cannot <action> <path>: <errno text>". NoPermission for EACCES and EPERM,
/// MissingInput for ENOENT and ENOTDIR, else IoError.
[[noreturn]] void fail_errno(std::string_view action, const std::filesystem::path& path, int error);

/// As fail_errno for something that could not be created: NoPermission for EACCES and EPERM, else CannotCreate.
[[noreturn]] void fail_create(std::string_view action, const std::filesystem::path& path, int error);

/// Opens an existing regular file (or a link to one) for reading. Errors: fail_errno; a folder or device is BadData.
[[nodiscard]] FileDescriptor open_for_reading(const std::filesystem::path& path);

/// Creates a file that must not exist yet, for reading and writing, mode 0666 less umask. Errors: fail_create.
[[nodiscard]] FileDescriptor create_new(const std::filesystem::path& path);

/// Bytes of an open file.
[[nodiscard]] std::uint64_t size_of_file(const FileDescriptor& file, const std::filesystem::path& path);

/// Fills `target` from `offset`; interrupted and short reads go on. End of file before that is Error(BadData).
void read_at(const FileDescriptor& file, std::span<std::byte> target, std::uint64_t offset,
             const std::filesystem::path& path);

/// Writes all of `source` at `offset`; interrupted and short writes go on. Errors: IoError (disk full among them).
void write_at(const FileDescriptor& file, std::span<const std::byte> source, std::uint64_t offset,
              const std::filesystem::path& path);

/// Makes the file's content durable. An error means that the file is bad: it must not be retried on the same file.
void sync(const FileDescriptor& file, const std::filesystem::path& path);

}  // namespace ldmpi::io
