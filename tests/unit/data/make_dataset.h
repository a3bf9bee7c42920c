#pragma once
// Small datasets for the tests of this folder.

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "data/dataset.h"
#include "data/manifest.h"
#include "data/shard_writer.h"

namespace ldmpi::data {

/// A folder that is removed with the object.
class Folder {
 public:
  Folder() {
    std::string name = std::filesystem::temp_directory_path() / "ldmpi_data_XXXXXX";
    LDMPI_CHECK(::mkdtemp(name.data()) != nullptr, "mkdtemp");
    path_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline float value_of(std::uint64_t key, std::uint64_t i) {
  return Draw{key, Purpose::Synthetic, 5}.normal(i);
}

/// Shard of `samples` rows whose values are Gaussian and differ for every `key`; prompt p in 1..3 by row.
inline ShardContent make_content(std::uint64_t key, std::uint64_t samples, const Shape& latent = {4, 6, 5}) {
  ShardContent content;
  content.facts.latent = latent;
  content.facts.context = Shape{3, 7};
  content.facts.scaling_factor = 0.5;
  content.facts.shift = 0.25;
  content.facts.codec = "test";
  content.facts.text_encoder = "test";
  const auto values = static_cast<std::uint64_t>(latent.count());
  for (std::uint64_t i = 0; i < samples * values; ++i) content.latents.push_back(2.0F * value_of(key, i));
  content.prompts.assign(21, 0.0F);
  for (std::uint64_t i = 0; i < 3 * 21; ++i) content.prompts.push_back(value_of(key + 1000, i));
  for (std::uint64_t i = 0; i < samples; ++i) {
    content.prompt_index.push_back(static_cast<std::uint32_t>(1 + i % 3));
    content.captions.push_back("caption " + std::to_string(i));
  }
  return content;
}

/// shard-0.h5 .. of the given numbers of samples, without a manifest.
inline void make_shards(const std::filesystem::path& folder, const std::vector<std::uint64_t>& samples) {
  for (std::size_t i = 0; i < samples.size(); ++i)
    write_shard(folder / ("shard-" + std::to_string(i) + ".h5"), make_content(i, samples[i]));
}

inline void make_manifest(const std::filesystem::path& folder) {
  Manifest manifest;
  for (const auto& file : shard_files(folder)) {
    const Shard shard = Shard::open(file);
    const auto report = check_shard(shard);
    manifest.shards.push_back(
        {file.filename().string(), shard.file_bytes(), report.file_crc, shard.facts(), report.statistics});
  }
  write_manifest(folder, manifest);
}

/// Code and message of the Error that `action` throws; Exit::Done and "" if none.
inline std::pair<Exit, std::string> error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {Exit::Done, ""};
}

}  // namespace ldmpi::data
