#pragma once
// What each rank says of itself now and then, so that the slow, the hot and the full one are seen by name.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "comm/communicator.h"

namespace ldmpi::train {

/// What is measured per rank, by index into RankValues. NaN where a rank cannot tell.
enum class RankValue : std::uint8_t {
  ComputeMs,       ///< forward and backward, per step
  DataWaitMs,      ///< per step
  ResidentMib,     ///< memory of the process
  GpuMemoryMib,    ///< memory in use on the GPU, by everybody
  GpuUtilisation,  ///< percent of the time with a kernel running
  GpuPowerW,
  GpuTemperatureC
};
inline constexpr std::size_t kRankValues = 7;
using RankValues = std::array<double, kRankValues>;

/// "compute_ms", "gpu_power_w", ...: the beginning of the keys in metrics.jsonl.
[[nodiscard]] std::string_view name_of(RankValue value) noexcept;

/// The values of all ranks, on every rank. Collective.
[[nodiscard]] std::vector<RankValues> gather_rank_values(comm::Communicator& communicator, const RankValues& mine);

/// Least, middle (of an even number the higher one of the two) and greatest of the numbers among `values`.
struct Spread {
  double min = 0;
  double median = 0;
  double max = 0;
  int max_rank = 0;  ///< the lowest with the greatest value
  int ranks = 0;     ///< that could tell; all other fields mean nothing if it is 0
};
[[nodiscard]] Spread spread_of(std::span<const RankValues> ranks, RankValue value);

}  // namespace ldmpi::train
