#include "archive.h"

#include <archive.h>
#include <archive_entry.h>

#include "base/check.h"
#include "base/handle.h"
#include "io/file.h"

namespace ldmpi::data_tools {
namespace {

using Reader = Handle<::archive*, &archive_read_free>;
constexpr std::size_t kBlock = 1U << 18;

Reader open_archive(const std::filesystem::path& path, bool single_file) {
  (void)io::open_for_reading(path);  // errno's reason and exit code
  Reader reader(archive_read_new());
  archive_read_support_filter_all(reader.get());
  if (single_file) {
    archive_read_support_format_raw(reader.get());
    archive_read_support_format_empty(reader.get());
  } else {
    archive_read_support_format_tar(reader.get());
    archive_read_support_format_zip(reader.get());
  }
  require(archive_read_open_filename(reader.get(), path.c_str(), kBlock) == ARCHIVE_OK, Exit::BadData,
          "{} is not an archive that can be read: {}", path.string(), archive_error_string(reader.get()));
  return reader;
}

std::vector<std::byte> read_all(::archive* reader, const std::filesystem::path& path, std::size_t max_bytes) {
  std::vector<std::byte> out;
  std::size_t used = 0;
  for (;;) {
    out.resize(used + kBlock);
    const la_ssize_t got = archive_read_data(reader, out.data() + used, kBlock);
    require(got >= 0, Exit::BadData, "{} is damaged: {}", path.string(), archive_error_string(reader));
    used += static_cast<std::size_t>(got);
    require(used <= max_bytes, Exit::BadData, "{} holds a file of more than {} MiB", path.string(), max_bytes >> 20);
    if (got == 0) break;
  }
  out.resize(used);
  return out;
}

}  // namespace

struct ArchiveReader::State {
  std::filesystem::path path;
  Reader reader;
};

ArchiveReader::ArchiveReader(const std::filesystem::path& path)
    : state_(std::make_unique<State>(State{path, open_archive(path, false)})) {}
ArchiveReader::ArchiveReader(ArchiveReader&&) noexcept = default;
ArchiveReader::~ArchiveReader() = default;

std::optional<std::string> ArchiveReader::next() {
  for (;;) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(state_->reader.get(), &entry);
    if (status == ARCHIVE_EOF) return std::nullopt;
    require(status == ARCHIVE_OK || status == ARCHIVE_WARN, Exit::BadData, "{} is damaged: {}", state_->path.string(),
            archive_error_string(state_->reader.get()));
    const char* name = archive_entry_pathname(entry);
    if (archive_entry_filetype(entry) == AE_IFREG && name != nullptr) return std::string(name);
  }
}

std::vector<std::byte> ArchiveReader::content(std::size_t max_bytes) {
  return read_all(state_->reader.get(), state_->path, max_bytes);
}

std::vector<std::byte> read_compressed(const std::filesystem::path& path, std::size_t max_bytes) {
  const Reader reader = open_archive(path, true);
  archive_entry* entry = nullptr;
  require(archive_read_next_header(reader.get(), &entry) == ARCHIVE_OK, Exit::BadData, "{} cannot be unpacked: {}",
          path.string(), archive_error_string(reader.get()));
  return read_all(reader.get(), path, max_bytes);
}

}  // namespace ldmpi::data_tools
