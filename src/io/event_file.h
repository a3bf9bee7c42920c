#pragma once
// TensorBoard event files: scalars and pictures.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "io/file.h"
#include "io/image.h"

namespace ldmpi::io {

/// CRC32C turned and offset as records carry it.
[[nodiscard]] std::uint32_t masked_crc(std::span<const std::byte> bytes) noexcept;

/// Writes one new event file per object, so that a resumed run never touches an older file; TensorBoard merges the
/// files of a folder by step. Records are collected and written by flush(), which add_* calls when `flush_seconds` have
/// passed since the last one. After an IoError the next flush writes the same records again at the same place.
class EventFileWriter {
 public:
  /// Creates `folder` if needed and in it `events.out.tfevents.<seconds>.<host>.<pid>.<n>`.
  /// Errors: NoPermission, CannotCreate.
  explicit EventFileWriter(const std::filesystem::path& folder, double flush_seconds = 10.0);
  /// Flushes; an error at this point is dropped.
  ~EventFileWriter();
  EventFileWriter(const EventFileWriter&) = delete;
  EventFileWriter& operator=(const EventFileWriter&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  void add_scalar(std::string_view tag, float value, std::int64_t step);
  /// The picture is stored as PNG.
  void add_image(std::string_view tag, const Image& image, std::int64_t step);
  /// Hands everything collected to the file system. Errors: IoError.
  void flush();

 private:
  void add_summary(std::string_view value, std::int64_t step);
  void add_record(std::string_view event);

  std::filesystem::path path_;
  FileDescriptor file_;
  std::string pending_;
  std::uint64_t written_ = 0;
  double flush_seconds_;
  Clock::time_point last_flush_ = Clock::now();
};

}  // namespace ldmpi::io
