#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace ldmpi::io {

namespace {

// The kernel moves at most this much per call on Linux; staying below it keeps short transfers exceptional.
constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;

bool is_permission(int error) {
  return error == EACCES || error == EPERM;
}

}  // namespace

void close_descriptor(int descriptor) noexcept {
  ::close(descriptor);
}

void fail_errno(std::string_view action, const std::filesystem::path& path, int error) {
  const Exit code = is_permission(error)                  ? Exit::NoPermission
                    : error == ENOENT || error == ENOTDIR ? Exit::MissingInput
                                                          : Exit::IoError;
  std::string from;
  std::error_code ignored;
  if (error == ENOENT && path.is_relative())
    from = fmt::format(" (from the working directory {})", std::filesystem::current_path(ignored).string());
  fail(code, "cannot {} {}: {}{}", action, path.string(), std::strerror(error), from);
}

void fail_create(std::string_view action, const std::filesystem::path& path, int error) {
  fail(is_permission(error) ? Exit::NoPermission : Exit::CannotCreate, "cannot {} {}: {}", action, path.string(),
       std::strerror(error));
}

FileDescriptor open_for_reading(const std::filesystem::path& path) {
  // Not blocking: opening a named pipe must not hang the job.
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) fail_errno("open", path, errno);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail_errno("examine", path, errno);
  require(S_ISREG(status.st_mode), Exit::BadData, "{} is not a file but a {}", path.string(),
          S_ISDIR(status.st_mode) ? "folder" : "device or pipe");
  return file;
}

FileDescriptor create_new(const std::filesystem::path& path) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file) fail_create("create", path, errno);
  return file;
}

std::uint64_t size_of_file(const FileDescriptor& file, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail_errno("examine", path, errno);
  return static_cast<std::uint64_t>(status.st_size);
}

void read_at(const FileDescriptor& file, std::span<std::byte> target, std::uint64_t offset,
             const std::filesystem::path& path) {
  while (!target.empty()) {
    const ssize_t got =
        ::pread(file.get(), target.data(), std::min(target.size(), kMaxTransfer), static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      fail_errno("read", path, errno);
    }
    require(got > 0, Exit::BadData, "{} ends at byte {} where {} more bytes were expected: the file is truncated",
            path.string(), offset, target.size());
    target = target.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

void write_at(const FileDescriptor& file, std::span<const std::byte> source, std::uint64_t offset,
              const std::filesystem::path& path) {
  while (!source.empty()) {
    const ssize_t put =
        ::pwrite(file.get(), source.data(), std::min(source.size(), kMaxTransfer), static_cast<off_t>(offset));
    if (put < 0) {
      if (errno == EINTR) continue;
      fail_errno("write", path, errno);
    }
    require(put > 0, Exit::IoError, "cannot write {}: the file system takes no more bytes", path.string());
    source = source.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
}

void sync(const FileDescriptor& file, const std::filesystem::path& path) {
  if (::fsync(file.get()) != 0) fail_errno("make durable (fsync)", path, errno);
}

}  // namespace ldmpi::io
