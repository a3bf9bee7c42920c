#include "train/device_peak.h"

#include <array>

namespace ldmpi::train {
namespace {

// NVIDIA's data sheets, without sparsity: A100 (2021), H100 (2023), H200 (2024).
struct PeakRow {
  std::string_view name;
  double half, tf32, fp32;
};
constexpr std::array<PeakRow, 5> kPeakRows{{{"NVIDIA A100", 312, 156, 19.5},
                                    {"NVIDIA H100 80GB HBM3", 989.4, 494.7, 66.9},
                                    {"NVIDIA H100 PCIe", 756, 378, 51.2},
                                    {"NVIDIA H100 NVL", 835.5, 417.7, 60},
                                    {"NVIDIA H200", 989.4, 494.7, 66.9}}};

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
