#pragma once
// One shard file of format v1 (docs/file_formats.md), open for random access by computed addresses.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "io/file.h"

namespace ldmpi::data {

inline constexpr const char* kShardFormat = "ldmpi-shard";
inline constexpr std::int64_t kShardVersion = 1;

/// What a shard holds; equal facts and equal content_crc mean equal samples.
struct ShardFacts {
  std::uint64_t samples = 0;
  DType latent_type = DType::F16;  ///< f16 or f32
  bool moments = false;
  Shape latent;                    ///< [C,H,W]; stored are 2C channels with moments
  DType prompt_type = DType::F16;  ///< f16 or f32, of both prompt tables
  std::uint64_t prompts = 0;       ///< rows of the prompt tables
  Shape context;                   ///< [T,D]
  std::int64_t pooled_width = 0;
  bool time_ids = false;
  double scaling_factor = 1.0;
  double shift = 0.0;
  std::string codec = "unknown";
  std::string text_encoder = "unknown";
  /// CRC32C over the datasets crc32c, prompt_crc32c, prompt_index (as u4) and time_ids; through them over everything
  /// that training reads.
  std::uint32_t content_crc = 0;

  friend bool operator==(const ShardFacts&, const ShardFacts&) = default;
};

/// Differences of two sets of facts as "name: expected x, found y" texts.
[[nodiscard]] std::vector<std::string> differences(const ShardFacts& expected, const ShardFacts& found);

class Shard {
 public:
  /// Opens through HDF5, checks the schema, reads the small tables and keeps a plain descriptor. All schema problems
  /// are in one message. Errors: MissingInput, NoPermission, BadData.
  [[nodiscard]] static Shard open(const std::filesystem::path& path);

  [[nodiscard]] const ShardFacts& facts() const noexcept { return facts_; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::uint64_t file_bytes() const noexcept { return identity_.bytes; }
  [[nodiscard]] std::uint32_t prompt_of(std::uint64_t row) const { return prompt_index_[row]; }
  [[nodiscard]] std::span<const float> time_ids(std::uint64_t row) const;

  /// Bytes of one stored row of latents, and of the two prompt tables.
  [[nodiscard]] std::size_t latent_bytes() const noexcept;
  [[nodiscard]] std::size_t context_bytes() const noexcept;
  [[nodiscard]] std::size_t pooled_bytes() const noexcept;

  /// The stored bytes of a row, CRC checked; the span is a part of `scratch`. prompt(): the context row followed by
  /// the pooled row. Errors: BadData naming shard and row, IoError after three retries.
  [[nodiscard]] std::span<const std::byte> read_latent(std::uint64_t row, std::vector<std::byte>& scratch) const;
  [[nodiscard]] std::span<const std::byte> read_prompt(std::uint64_t prompt, std::vector<std::byte>& scratch) const;

 private:
  struct Identity {
    std::uint64_t device = 0, inode = 0, bytes = 0;
    std::int64_t changed_ns = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  [[nodiscard]] static Identity identity_of(const std::filesystem::path& path);
  /// Empty, or what happened to the file since it was opened.
  [[nodiscard]] std::string change() const;
  void read(std::span<std::byte> target, std::uint64_t offset, const char* what, std::uint64_t row) const;

  std::filesystem::path path_;
  ShardFacts facts_;
  Identity identity_;
  io::FileDescriptor file_;
  std::uint64_t latents_at_ = 0;
  std::uint64_t prompts_at_ = 0;
  std::uint64_t pooled_at_ = 0;
  std::vector<std::uint32_t> crcs_;
  std::vector<std::uint32_t> prompt_crcs_;
  std::vector<std::uint32_t> prompt_index_;
  std::vector<float> time_ids_;
};

}  // namespace ldmpi::data
