#include "io/safetensors.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <set>

#include "base/check.h"
#include "base/crc32c.h"
#include "io/atomic_file.h"

static_assert(std::endian::native == std::endian::little, "safetensors data are little-endian");

namespace ldmpi::io {

namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kChunk = std::size_t{1} << 18;  // elements converted at a time

bool is_floating(DType type) {
  return type == DType::F32 || type == DType::F16 || type == DType::BF16 || type == DType::F64;
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::filesystem::path path) : path_(std::move(path)), file_(open_for_reading(path_)) {
  const std::uint64_t size = size_of_file(file_, path_);
  require(size >= kLengthBytes, Exit::BadData, "{} is not a safetensors file: it has only {} bytes", path_.string(),
          size);
  std::array<std::byte, kLengthBytes> length_bytes{};
  read_at(file_, length_bytes, 0, path_);
  const auto length = std::bit_cast<std::uint64_t>(length_bytes);
  require(length <= kMaxSafetensorsHeader, Exit::BadData,
          "{} is not a safetensors file: its header would have {} bytes, at most {} are accepted", path_.string(),
          length, kMaxSafetensorsHeader);
  require(length <= size - kLengthBytes, Exit::BadData,
          "{} is not a sound safetensors file: a header of {} bytes in a file of {}: it is truncated", path_.string(),
          length, size);
  std::string text(length, ' ');
  read_at(file_, std::as_writable_bytes(std::span(text)), kLengthBytes, path_);
  data_begin_ = kLengthBytes + length;
  header_ = parse_safetensors_header(text, size - data_begin_, path_.string());
  for (std::size_t i = 0; i < header_.tensors.size(); ++i) index_.emplace(header_.tensors[i].name, i);
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const noexcept {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &header_.tensors[found->second];
}

const TensorInfo& SafetensorsFile::at(std::string_view name) const {
  const TensorInfo* tensor = find(name);
  require(tensor != nullptr, Exit::BadData, "{} holds no tensor \"{}\"", path_.string(), name);
  return *tensor;
}

void SafetensorsFile::read(const TensorInfo& tensor, std::span<std::byte> target) const {
  LDMPI_CHECK(target.size() == tensor.bytes, "{}: {} bytes into {}", tensor.name, tensor.bytes, target.size());
  read_at(file_, target, data_begin_ + tensor.offset, path_);
}

void SafetensorsFile::read_float(const TensorInfo& tensor, std::span<float> target) const {
  require(is_floating(tensor.dtype), Exit::BadData, "{}: tensor \"{}\" has the type {} where numbers are needed",
          path_.string(), tensor.name, name_of(tensor.dtype));
  LDMPI_CHECK(static_cast<std::int64_t>(target.size()) == tensor.shape.count(), "{} {} into {}", tensor.name,
              tensor.shape.text(), target.size());
  if (tensor.dtype == DType::F32) return read(tensor, std::as_writable_bytes(target));
  const std::size_t width = size_of(tensor.dtype);
  std::vector<std::byte> chunk(std::min(kChunk, target.size()) * width);
  std::uint64_t offset = data_begin_ + tensor.offset;
  while (!target.empty()) {
    const std::size_t count = std::min(kChunk, target.size());
    const std::span<std::byte> part = std::span(chunk).first(count * width);
    read_at(file_, part, offset, path_);
    convert_to_float(part.data(), tensor.dtype, target.data(), count);
    target = target.subspan(count);
    offset += part.size();
  }
}

SafetensorsWriter::SafetensorsWriter(std::filesystem::path path, std::span<const TensorSpec> specs,
                                     std::map<std::string, std::string> metadata)
    : path_(std::move(path)), temporary_(path_) {
  temporary_ += fmt::format(".tmp-{}", ::getpid());
  SafetensorsHeader header;
  header.metadata = std::move(metadata);
  std::unordered_map<std::string_view, std::size_t> position;
  for (const TensorSpec& spec : specs) {
    LDMPI_CHECK(position.emplace(spec.name, position.size()).second, "tensor name {} given twice", spec.name);
    LDMPI_CHECK(!spec.name.empty() && spec.name.size() <= kMaxTensorName && spec.name != "__metadata__",
                "tensor name of {} bytes", spec.name.size());
    header.tensors.push_back({spec.name, spec.dtype, spec.shape});
  }
  LDMPI_CHECK(specs.size() <= kMaxSafetensorsTensors, "{} tensors in one file", specs.size());
  const std::string text = format_safetensors_header(header);
  LDMPI_CHECK(text.size() <= kMaxSafetensorsHeader, "header of {} bytes", text.size());

  slots_.resize(specs.size());
  data_begin_ = kLengthBytes + text.size();
  file_bytes_ = data_begin_;
  for (TensorInfo& tensor : header.tensors) {
    file_bytes_ += tensor.bytes;
    Slot& slot = slots_[position.at(tensor.name)];
    slot.written = tensor.bytes == 0;
    slot.info = std::move(tensor);
  }

  // A leftover of a killed process that had this pid.
  ::unlink(temporary_.c_str());
  file_ = create_new(temporary_);
  try {
    const auto length = std::bit_cast<std::array<std::byte, kLengthBytes>>(std::uint64_t{text.size()});
    write_at(file_, length, 0, temporary_);
    write_at(file_, std::as_bytes(std::span(text)), kLengthBytes, temporary_);
  } catch (...) {
    ::unlink(temporary_.c_str());
    throw;
  }
}

SafetensorsWriter::~SafetensorsWriter() {
  if (file_) ::unlink(temporary_.c_str());
}

std::size_t SafetensorsWriter::index_of(std::string_view name) const {
  const auto found =
      std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.info.name == name; });
  LDMPI_CHECK(found != slots_.end(), "{} has no tensor {}", path_.string(), name);
  return static_cast<std::size_t>(found - slots_.begin());
}

std::uint32_t SafetensorsWriter::write(std::size_t index, std::span<const float> values) {
  Slot& slot = slots_.at(index);
  const TensorInfo& info = slot.info;
  LDMPI_CHECK(is_floating(info.dtype), "{} is {}: write_raw is for such types", info.name, name_of(info.dtype));
  LDMPI_CHECK(static_cast<std::int64_t>(values.size()) == info.shape.count(), "{} {} from {} values", info.name,
              info.shape.text(), values.size());
  if (info.dtype == DType::F32) return write_raw(index, std::as_bytes(values));
  const std::size_t width = size_of(info.dtype);
  std::vector<std::byte> chunk(std::min(kChunk, values.size()) * width);
  std::uint64_t offset = data_begin_ + info.offset;
  std::uint32_t crc = 0;
  while (!values.empty()) {
    const std::size_t count = std::min(kChunk, values.size());
    convert_from_float(values.data(), info.dtype, chunk.data(), count);
    const std::span<const std::byte> part = std::span(chunk).first(count * width);
    write_at(file_, part, offset, temporary_);
    crc = crc32c(part, crc);
    values = values.subspan(count);
    offset += part.size();
  }
  slot.crc = crc;
  slot.written = true;
  return crc;
}

std::uint32_t SafetensorsWriter::write(std::string_view name, std::span<const float> values) {
  return write(index_of(name), values);
}

std::uint32_t SafetensorsWriter::write_raw(std::size_t index, std::span<const std::byte> bytes) {
  Slot& slot = slots_.at(index);
  LDMPI_CHECK(bytes.size() == slot.info.bytes, "{}: {} bytes from {}", slot.info.name, slot.info.bytes, bytes.size());
  write_at(file_, bytes, data_begin_ + slot.info.offset, temporary_);
  slot.crc = crc32c(bytes);
  slot.written = true;
  return slot.crc;
}

std::uint32_t SafetensorsWriter::write_raw(std::string_view name, std::span<const std::byte> bytes) {
  return write_raw(index_of(name), bytes);
}

void SafetensorsWriter::finish() {
  for (const Slot& slot : slots_)
    LDMPI_CHECK(slot.written, "tensor {} of {} was not written", slot.info.name, path_.string());
  sync(file_, temporary_);
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) fail_create("rename to", path_, errno);
  file_.reset();
  fsync_directory(path_.parent_path());
}

}  // namespace ldmpi::io
