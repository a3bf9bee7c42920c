#pragma once
// The GPUs of this machine as the driver's management library (NVML) tells of them. It is loaded at run time and
// declared by gpu_monitor.cpp itself: nothing of CUDA is needed, neither to build nor to run.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ldmpi::backend {

/// What stays as it is while the driver is loaded.
struct GpuFacts {
  std::string name;
  std::string uuid;     ///< "GPU-..."
  std::string bus_id;   ///< "0000:17:00.0", as Device::identity() of the CUDA backend
  std::string trouble;  ///< why it cannot be asked at all, e.g. "GPU is lost"; else empty
  std::int64_t memory_bytes = 0;
};

/// One GPU at this moment. What the driver or the GPU does not tell is absent.
struct GpuSample {
  std::string trouble;                ///< why it does not answer, e.g. "GPU is lost"; else empty
  std::optional<double> utilization;  ///< percent of the driver's last period in which a kernel ran
  std::optional<double> power_watts;
  std::optional<double> power_limit_watts;
  std::optional<double> temperature_celsius;
  std::optional<double> clock_mhz;  ///< of the multiprocessors
  std::optional<double> memory_clock_mhz;
  std::optional<std::int64_t> memory_free_bytes;
  std::vector<std::string_view> slowed_by;  ///< what holds its clocks down against its will, e.g. "heat (hardware)"
};

/// What tells a sound GPU from a failing one. Counts are since the driver was loaded.
struct GpuHealth {
  std::optional<bool> persistence;  ///< off: the driver sets the GPU up again for each process
  std::optional<bool> ecc;
  std::optional<std::int64_t> corrected_errors;
  std::optional<std::int64_t> uncorrected_errors;
  std::optional<bool> remap_pending;     ///< a bad row of memory will be replaced at the next reset
  std::optional<bool> remap_failed;      ///< no spare row was left
  std::optional<double> full_clock_mhz;  ///< what the multiprocessors may reach
  int nvlinks = 0;                       ///< links that are up
};

/// A critical event that the driver has reported.
struct GpuEvent {
  int gpu = 0;  ///< index in gpus()
  int xid = 0;
};

/// How two GPUs of this machine reach each other.
struct GpuPath {
  bool peer = false;          ///< reads and writes go straight from one to the other
  std::string_view topology;  ///< "NVLink", "one switch", "several switches", "host bridge", "one socket", "sockets"
};

class GpuMonitor {
 public:
  virtual ~GpuMonitor() = default;
  /// All GPUs that the driver shows to this process, in PCI order; CUDA_VISIBLE_DEVICES does not count here.
  [[nodiscard]] virtual const std::vector<GpuFacts>& gpus() const noexcept = 0;
  [[nodiscard]] virtual GpuSample sample(int gpu) const = 0;
  [[nodiscard]] virtual GpuHealth health(int gpu) const = 0;
  [[nodiscard]] virtual GpuPath path(int from, int to) const = 0;
  /// Critical events since the monitor was made or this was last called; does not wait for any.
  [[nodiscard]] virtual std::vector<GpuEvent> take_events() = 0;
  [[nodiscard]] virtual std::string driver_version() const = 0;  ///< "580.65.06"
  [[nodiscard]] virtual int cuda_version() const = 0;  ///< newest CUDA of the driver: 13000 is 13.0; 0: not told
  /// The GPU with this bus address (Device::identity()) or UUID.
  [[nodiscard]] std::optional<int> find(std::string_view identity) const;
};

/// Throws Error(NoDevice) with the reason where the library is missing or not NVML, or the driver does not answer.
/// Calls of one monitor come from one thread at a time.
[[nodiscard]] std::unique_ptr<GpuMonitor> make_gpu_monitor(const std::string& library = "libnvidia-ml.so.1");

/// What an XID means, in a few words, and whether the GPU itself is to blame and not the program.
struct XidMeaning {
  std::string_view text;
  bool of_hardware = false;
};
[[nodiscard]] XidMeaning meaning_of_xid(int xid);

}  // namespace ldmpi::backend
