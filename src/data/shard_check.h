#pragma once
// Checks of shards: every sample and prompt of one (checksums, finite values, statistics), and whether several fit
// together. What `ldmpi-data verify` and the manifest are made of.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/shard.h"

namespace ldmpi::data {

/// Of the latents as stored (of the mean channels with moments), before scaling.
struct Statistics {
  double mean = 0.0;
  double deviation = 0.0;
  double smallest = 0.0;
  double largest = 0.0;
};

struct ShardReport {
  std::vector<std::string> problems;  ///< "row 17: ...", at most 100
  Statistics statistics;
  std::uint32_t file_crc = 0;  ///< CRC32C of the whole file
};

[[nodiscard]] ShardReport check_shard(const Shard& shard);

/// A shard as one of a dataset.
struct ShardFile {
  std::filesystem::path path;
  std::uint64_t bytes = 0;  ///< of the file
  ShardFacts facts;
};

/// Why these shards cannot be one dataset: facts that must be equal and differ, and samples that are there twice.
[[nodiscard]] std::vector<std::string> conflicts(std::span<const ShardFile> shards);

/// Standard deviation that the model will see: with moments the stored deviation adds to that of the means.
[[nodiscard]] inline double scaled(const Statistics& statistics, double scaling_factor) {
  return statistics.deviation * scaling_factor;
}

}  // namespace ldmpi::data
