#include "io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/check.h"
#include "io/file.h"

namespace ldmpi::io {

namespace {

template <typename Buffer>
Buffer read_whole(const std::filesystem::path& path, std::uint64_t max_bytes) {
  const FileDescriptor file = open_for_reading(path);
  const std::uint64_t size = size_of_file(file, path);
  require(size <= max_bytes, Exit::BadData, "{} has {} bytes; at most {} are accepted for such a file", path.string(),
          size, max_bytes);
  Buffer content(size, typename Buffer::value_type{});
  read_at(file, std::as_writable_bytes(std::span(content)), 0, path);
  return content;
}

FileDescriptor open_existing(const std::filesystem::path& path, int flags) {
  FileDescriptor file(::open(path.c_str(), flags | O_CLOEXEC));
  if (!file) fail_errno("open", path, errno);
  return file;
}

}  // namespace

void write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::filesystem::path temporary = path;
  temporary += fmt::format(".tmp-{}", ::getpid());
  // A leftover of a killed process that had this pid.
  ::unlink(temporary.c_str());
  const FileDescriptor file = create_new(temporary);
  try {
    write_at(file, bytes, 0, temporary);
    sync(file, temporary);
    if (std::rename(temporary.c_str(), path.c_str()) != 0) fail_create("rename to", path, errno);
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  fsync_directory(path.parent_path());
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, std::as_bytes(std::span(text)));
}

void fsync_file(const std::filesystem::path& path) {
  sync(open_existing(path, O_RDONLY), path);
}

void fsync_directory(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.empty() ? "." : path;
  sync(open_existing(folder, O_RDONLY | O_DIRECTORY), folder);
}

std::vector<std::byte> read_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return read_whole<std::vector<std::byte>>(path, max_bytes);
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
  return read_whole<std::string>(path, max_bytes);
}

}  // namespace ldmpi::io
