#pragma once
// What a rank can say of itself: its process and its GPU.

#include <memory>
#include <optional>
#include <string>

#include "backend/gpu_monitor.h"
#include "train/rank_values.h"
#include "train/step_meter.h"

namespace ldmpi::train {

class RankProbe {
 public:
  /// `gpu` is Device::identity(): empty on the CPU, then no driver is asked. Where the driver cannot be asked, a warning
  /// says so, once, and values of the GPU stay unknown. `library`: the driver's management library.
  explicit RankProbe(const std::string& gpu, const std::string& library = "libnvidia-ml.so.1");

  /// The values of this rank: those of the steps as means of `totals`.
  [[nodiscard]] RankValues values(const StepTotals& totals) const;

 private:
  std::unique_ptr<backend::GpuMonitor> monitor_;
  std::optional<int> gpu_;
};

}  // namespace ldmpi::train
