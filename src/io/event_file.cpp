#include "io/event_file.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>

#include "base/check.h"
#include "base/crc32c.h"

namespace ldmpi::io {

namespace {

// Wire types of protocol buffers.
constexpr unsigned kVarint = 0;
constexpr unsigned kFixed64 = 1;
constexpr unsigned kBytes = 2;
constexpr unsigned kFixed32 = 5;

// What may wait in memory while the disk refuses it.
constexpr std::size_t kMaxPending = std::size_t{64} << 20;

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

template <typename T>
void append_fixed(std::string& out, T value) {
  const auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(value);
  out.append(bytes.data(), bytes.size());
}

void append_tag(std::string& out, unsigned field, unsigned wire_type) {
  append_varint(out, field << 3 | wire_type);
}

void append_bytes(std::string& out, unsigned field, std::string_view bytes) {
  append_tag(out, field, kBytes);
  append_varint(out, bytes.size());
  out += bytes;
}

void append_integer(std::string& out, unsigned field, std::uint64_t value) {
  append_tag(out, field, kVarint);
  append_varint(out, value);
}

std::string event_at_now() {
  std::string event;
  append_tag(event, 1, kFixed64);
  append_fixed(event, wall_seconds());
  return event;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

}  // namespace

std::uint32_t masked_crc(std::span<const std::byte> bytes) noexcept {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8U;
}

EventFileWriter::EventFileWriter(const std::filesystem::path& folder, double flush_seconds)
    : flush_seconds_(flush_seconds) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail_create("create the folder", folder, error.value());
  const std::string stem = fmt::format("events.out.tfevents.{:010}.{}.{}", static_cast<std::int64_t>(wall_seconds()),
                                       host_name(), ::getpid());
  // The number sets two writers of one second apart.
  for (int number = 0; !file_; ++number) {
    path_ = folder / fmt::format("{}.{}", stem, number);
    if (!std::filesystem::exists(path_, error)) file_ = create_new(path_);
  }
  std::string event = event_at_now();
  append_bytes(event, 3, "brain.Event:2");
  std::string source;
  append_bytes(source, 1, "ldmpi");
  append_bytes(event, 10, source);
  add_record(event);
  flush();
}

EventFileWriter::~EventFileWriter() {
  try {
    flush();
  } catch (const Error&) {
    // The record of the run is elsewhere; a destructor has nobody to tell.
    pending_.clear();
  }
}

void EventFileWriter::add_scalar(std::string_view tag, float value, std::int64_t step) {
  std::string entry;
  append_bytes(entry, 1, tag);
  append_tag(entry, 2, kFixed32);
  append_fixed(entry, value);
  add_summary(entry, step);
}

void EventFileWriter::add_image(std::string_view tag, const Image& image, std::int64_t step) {
  const auto png = encode_png(image);
  std::string picture;
  append_integer(picture, 1, static_cast<std::uint64_t>(image.height));
  append_integer(picture, 2, static_cast<std::uint64_t>(image.width));
  append_integer(picture, 3, static_cast<std::uint64_t>(image.channels));
  append_bytes(picture, 4, {reinterpret_cast<const char*>(png.data()), png.size()});
  std::string entry;
  append_bytes(entry, 1, tag);
  append_bytes(entry, 4, picture);
  add_summary(entry, step);
}

void EventFileWriter::add_summary(std::string_view value, std::int64_t step) {
  std::string event = event_at_now();
  append_integer(event, 2, static_cast<std::uint64_t>(step));
  std::string summary;
  append_bytes(summary, 1, value);
  append_bytes(event, 5, summary);
  add_record(event);
  if (seconds_since(last_flush_) >= flush_seconds_) flush();
}

void EventFileWriter::add_record(std::string_view event) {
  if (pending_.size() > kMaxPending) pending_.clear();
  std::string length;
  append_fixed(length, std::uint64_t{event.size()});
  pending_ += length;
  append_fixed(pending_, masked_crc(std::as_bytes(std::span(length))));
  pending_ += event;
  append_fixed(pending_, masked_crc(std::as_bytes(std::span(event))));
}

void EventFileWriter::flush() {
  last_flush_ = Clock::now();
  write_at(file_, std::as_bytes(std::span(pending_)), written_, path_);
  written_ += pending_.size();
  pending_.clear();
}

}  // namespace ldmpi::io
