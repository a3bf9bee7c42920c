#include "train/device_peak.h"

#include <array>

namespace ldmpi::train {
namespace {

// Published figures without sparsity. A variant with other clocks must not match: hence the comma behind H200, which
// stands behind the name in a device's description (H200 NVL is slower). Cards whose figures are not certain are absent.
struct PeakRow {
  std::string_view name;
  double half, tf32, fp32;
};
constexpr std::array<PeakRow, 3> kPeakRows{{{"NVIDIA A100", 312, 156, 19.5},
                                            {"NVIDIA H100 80GB HBM3", 989.4, 494.7, 66.9},
                                            {"NVIDIA H200,", 989.4, 494.7, 66.9}}};

}  // namespace

std::optional<double> known_peak_tflops(std::string_view device, config::Precision precision) {
  for (const auto& row : kPeakRows) {
    if (!device.starts_with(row.name)) continue;
    switch (precision) {
      case config::Precision::Bf16:
      case config::Precision::Fp16: return row.half;
      case config::Precision::Tf32: return row.tf32;
      case config::Precision::Fp32: return row.fp32;
      default: return {};
    }
  }
  return {};
}

}  // namespace ldmpi::train
