#include "train/rank_probe.h"

#include <cmath>

#include "base/check.h"
#include "base/log.h"
#include "base/resources.h"

namespace ldmpi::train {
namespace {

constexpr double kSecondsBetweenSamples = 1;

}  // namespace

RankProbe::RankProbe(const std::string& gpu, const std::string& library) {
  if (gpu.empty()) return;
  try {
    monitor_ = backend::make_gpu_monitor(library);
    gpu_ = monitor_->find(gpu);
  } catch (const Error& error) {
    log::warning("utilisation, power and temperature of the GPU are not recorded: {}", error.what());
  }
}

RankValues RankProbe::values(const StepTotals& totals) {
  RankValues values;
  values.fill(std::nan(""));
  const auto set = [&](RankValue which, std::optional<double> x) {
    if (x) values[static_cast<std::size_t>(which)] = *x;
  };
  if (totals.steps > 0) {
    const double per_step = 1e3 / static_cast<double>(totals.steps);
    set(RankValue::ComputeMs, totals.compute() * per_step);
    set(RankValue::DataWaitMs, totals.data_wait * per_step);
  }
  set(RankValue::ResidentMib, static_cast<double>(read_resources().resident_bytes) / 0x1p20);
  if (!gpu_) return values;
  if (!sampled_ || seconds_since(*sampled_) >= kSecondsBetweenSamples) {
    sample_ = monitor_->sample(*gpu_);
    sampled_ = Clock::now();
  }
  set(RankValue::GpuUtilisation, sample_.utilization);
  set(RankValue::GpuPowerW, sample_.power_watts);
  set(RankValue::GpuTemperatureC, sample_.temperature_celsius);
  const auto& facts = monitor_->gpus()[static_cast<std::size_t>(*gpu_)];
  if (sample_.memory_free_bytes)
    set(RankValue::GpuMemoryMib, static_cast<double>(facts.memory_bytes - *sample_.memory_free_bytes) / 0x1p20);
  return values;
}

}  // namespace ldmpi::train
