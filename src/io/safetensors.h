#pragma once
// safetensors files: a reader that believes nothing, and a streaming writer.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "io/file.h"
#include "io/safetensors_header.h"

namespace ldmpi::io {

/// An open, fully checked safetensors file. Reads are positioned: const members may run on several threads at once.
class SafetensorsFile {
 public:
  /// Opens and checks everything but the tensor values. Errors: MissingInput, NoPermission, IoError; BadData for a file
  /// that breaks a rule (see parse_safetensors_header).
  explicit SafetensorsFile(std::filesystem::path path);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  /// In order of offset.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const noexcept { return header_.tensors; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const noexcept { return header_.metadata; }
  /// Nothing (nullptr) if there is no such tensor.
  [[nodiscard]] const TensorInfo* find(std::string_view name) const noexcept;
  /// As find; a missing tensor is Error(BadData).
  [[nodiscard]] const TensorInfo& at(std::string_view name) const;

  /// The stored bytes; target.size() == tensor.bytes.
  void read(const TensorInfo& tensor, std::span<std::byte> target) const;
  /// The values of an f32, f16, bf16 or f64 tensor as float; target.size() == tensor.shape.count(). Other types:
  /// BadData.
  void read_float(const TensorInfo& tensor, std::span<float> target) const;

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  std::uint64_t data_begin_ = 0;
  SafetensorsHeader header_;
  std::unordered_map<std::string_view, std::size_t> index_;  // keys point into header_
};

/// A tensor to be written.
struct TensorSpec {
  std::string name;
  DType dtype = DType::F32;
  Shape shape;
};

/// Writes one safetensors file. The layout is fixed by the constructor, so tensors may be written in any order, also by
/// several threads at once (each tensor by one). The file has a temporary name beside `path` until finish().
class SafetensorsWriter {
 public:
  /// Errors: NoPermission, CannotCreate; IoError for a full disk. A name given twice is a defect (Internal).
  SafetensorsWriter(std::filesystem::path path, std::span<const TensorSpec> specs,
                    std::map<std::string, std::string> metadata = {{"format", "pt"}});
  /// Removes the temporary file unless finished.
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  /// Converts to the tensor's (floating) type and writes. `index` counts the specs as given to the constructor.
  /// Returns the CRC32C of the stored bytes.
  std::uint32_t write(std::size_t index, std::span<const float> values);
  std::uint32_t write(std::string_view name, std::span<const float> values);
  /// Writes bytes that already have the tensor's type (integers above all).
  std::uint32_t write_raw(std::size_t index, std::span<const std::byte> bytes);
  std::uint32_t write_raw(std::string_view name, std::span<const std::byte> bytes);

  /// CRC32C of a tensor written before.
  [[nodiscard]] std::uint32_t crc(std::size_t index) const { return slots_.at(index).crc; }
  /// Whole file, header included.
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return file_bytes_; }

  /// fsync, rename to `path`, fsync of the folder. Every tensor must have been written (else Internal).
  void finish();

 private:
  struct Slot {
    TensorInfo info;
    std::uint32_t crc = 0;
    bool written = false;
  };
  [[nodiscard]] std::size_t index_of(std::string_view name) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  FileDescriptor file_;
  std::uint64_t data_begin_ = 0;
  std::uint64_t file_bytes_ = 0;
  std::vector<Slot> slots_;  // in the order of the specs
};

}  // namespace ldmpi::io
