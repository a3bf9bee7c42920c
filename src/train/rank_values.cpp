#include "train/rank_values.h"

#include <algorithm>
#include <cmath>

namespace ldmpi::train {

std::string_view name_of(RankValue value) noexcept {
  switch (value) {
    case RankValue::ComputeMs: return "compute_ms";
    case RankValue::DataWaitMs: return "data_wait_ms";
    case RankValue::ResidentMib: return "resident_mib";
    case RankValue::GpuMemoryMib: return "gpu_memory_mib";
    case RankValue::GpuUtilisation: return "gpu_utilisation";
    case RankValue::GpuPowerW: return "gpu_power_w";
    case RankValue::GpuTemperatureC: return "gpu_temperature_c";
  }
  return "?";
}

std::vector<RankValues> gather_rank_values(comm::Communicator& communicator, const RankValues& mine) {
  std::vector<RankValues> all(static_cast<std::size_t>(communicator.size()));
  communicator.all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
  return all;
}

Spread spread_of(std::span<const RankValues> ranks, RankValue value) {
  Spread spread;
  std::vector<double> numbers;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const double x = ranks[rank][static_cast<std::size_t>(value)];
    if (!std::isfinite(x)) continue;
    if (numbers.empty() || x > spread.max) {
      spread.max = x;
      spread.max_rank = static_cast<int>(rank);
    }
    numbers.push_back(x);
  }
  spread.ranks = static_cast<int>(numbers.size());
  if (numbers.empty()) return spread;
  std::sort(numbers.begin(), numbers.end());
  spread.min = numbers.front();
  spread.median = numbers[numbers.size() / 2];
  return spread;
}

}  // namespace ldmpi::train
