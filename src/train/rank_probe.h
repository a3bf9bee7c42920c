#pragma once
// What a rank can say of itself: its process and its GPU.

#include <memory>
#include <optional>
#include <string>

#include "backend/gpu_monitor.h"
#include "base/clock.h"
#include "train/rank_values.h"
#include "train/step_meter.h"

namespace ldmpi::train {

class RankProbe {
 public:
  /// `gpu` is Device::identity(): empty on the CPU, then no driver is asked. Where the driver cannot be asked, a warning
  /// says so, once, and values of the GPU stay unknown. `library`: the driver's management library.
  explicit RankProbe(const std::string& gpu, const std::string& library = "libnvidia-ml.so.1");

  /// The values of this rank: those of the steps as means of `totals`. The driver is asked once a second at most: it
  /// takes its time, and its own readings are not newer.
  [[nodiscard]] RankValues values(const StepTotals& totals);

 private:
  std::unique_ptr<backend::GpuMonitor> monitor_;
  std::optional<int> gpu_;
  backend::GpuSample sample_;
  std::optional<Clock::time_point> sampled_;
};

}  // namespace ldmpi::train
