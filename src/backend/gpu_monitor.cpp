#include "backend/gpu_monitor.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <type_traits>

#include "base/check.h"
#include "base/handle.h"

namespace ldmpi::backend {
namespace {

// The part of NVML's interface that is used here. It is stable: names carry a version where a layout has changed.
namespace nvml {
using Device = void*;
using EventSet = void*;
struct Memory {
  unsigned long long total, free, used;
};
struct Utilization {
  unsigned gpu, memory;
};
struct Pci {
  std::array<char, 16> legacy_bus_id;
  unsigned domain, bus, device, device_id, subsystem_id;
  std::array<char, 32> bus_id;
};
struct Event {
  Device device;
  unsigned long long type, data;
  unsigned gpu_instance, compute_instance;
};
constexpr int kSuccess = 0;
constexpr int kNotSupported = 3;
constexpr int kGpuIsLost = 15;
constexpr int kResetRequired = 16;
constexpr int kLibraryOfAnotherDriver = 18;
constexpr int kDriverNotLoaded = 9;
constexpr int kUnknown = 999;
constexpr unsigned long long kXidEvents = 0x8;
constexpr int kClockOfMultiprocessors = 1;
constexpr int kClockOfMemory = 2;
constexpr int kCorrected = 0;
constexpr int kUncorrected = 1;
constexpr int kSinceDriverLoaded = 0;
constexpr unsigned kMostLinks = 18;
}  // namespace nvml

void close_library(void* library) {
  dlclose(library);
}

/// Functions that an old driver may lack are null.
struct Functions {
  int (*init)();
  int (*shutdown)();
  const char* (*error_text)(int);
  int (*count)(unsigned*);
  int (*handle)(unsigned, nvml::Device*);
  int (*name)(nvml::Device, char*, unsigned);
  int (*uuid)(nvml::Device, char*, unsigned);
  int (*pci)(nvml::Device, nvml::Pci*);
  int (*memory)(nvml::Device, nvml::Memory*);
  int (*driver_version)(char*, unsigned);
  int (*cuda_version)(int*);
  int (*utilization)(nvml::Device, nvml::Utilization*);
  int (*power)(nvml::Device, unsigned*);
  int (*power_limit)(nvml::Device, unsigned*);
  int (*temperature)(nvml::Device, int, unsigned*);
  int (*clock)(nvml::Device, int, unsigned*);
  int (*full_clock)(nvml::Device, int, unsigned*);
  int (*slowed_by)(nvml::Device, unsigned long long*);
  int (*persistence)(nvml::Device, int*);
  int (*ecc)(nvml::Device, int*, int*);
  int (*ecc_errors)(nvml::Device, int, int, unsigned long long*);
  int (*remapped)(nvml::Device, unsigned*, unsigned*, unsigned*, unsigned*);
  int (*link)(nvml::Device, unsigned, int*);
  int (*peer)(nvml::Device, nvml::Device, int, int*);
  int (*topology)(nvml::Device, nvml::Device, int*);
  int (*make_events)(nvml::EventSet*);
  int (*register_events)(nvml::Device, unsigned long long, nvml::EventSet);
  int (*wait_event)(nvml::EventSet, nvml::Event*, unsigned);
  int (*free_events)(nvml::EventSet);
};

Functions find_functions(void* library, const std::string& file) {
  Functions f{};
  const auto ask = [&](auto*& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
  };
  const auto need = [&](auto*& function, const char* name) {
    ask(function, name);
    require(function != nullptr, Exit::NoDevice,
            "{} has no {}: it is not the NVIDIA driver's, or of a driver too old for CUDA 12. Install a newer driver",
            file, name);
  };
  need(f.init, "nvmlInit_v2");
  need(f.shutdown, "nvmlShutdown");
  need(f.error_text, "nvmlErrorString");
  need(f.count, "nvmlDeviceGetCount_v2");
  need(f.handle, "nvmlDeviceGetHandleByIndex_v2");
  need(f.name, "nvmlDeviceGetName");
  need(f.uuid, "nvmlDeviceGetUUID");
  need(f.pci, "nvmlDeviceGetPciInfo_v3");
  need(f.memory, "nvmlDeviceGetMemoryInfo");
  ask(f.driver_version, "nvmlSystemGetDriverVersion");
  ask(f.cuda_version, "nvmlSystemGetCudaDriverVersion_v2");
  ask(f.utilization, "nvmlDeviceGetUtilizationRates");
  ask(f.power, "nvmlDeviceGetPowerUsage");
  ask(f.power_limit, "nvmlDeviceGetEnforcedPowerLimit");
  ask(f.temperature, "nvmlDeviceGetTemperature");
  ask(f.clock, "nvmlDeviceGetClockInfo");
  ask(f.full_clock, "nvmlDeviceGetMaxClockInfo");
  ask(f.slowed_by, "nvmlDeviceGetCurrentClocksThrottleReasons");
  if (f.slowed_by == nullptr) ask(f.slowed_by, "nvmlDeviceGetCurrentClocksEventReasons");
  ask(f.persistence, "nvmlDeviceGetPersistenceMode");
  ask(f.ecc, "nvmlDeviceGetEccMode");
  ask(f.ecc_errors, "nvmlDeviceGetTotalEccErrors");
  ask(f.remapped, "nvmlDeviceGetRemappedRows");
  ask(f.link, "nvmlDeviceGetNvLinkState");
  ask(f.peer, "nvmlDeviceGetP2PStatus");
  ask(f.topology, "nvmlDeviceGetTopologyCommonAncestor");
  ask(f.make_events, "nvmlEventSetCreate");
  ask(f.register_events, "nvmlDeviceRegisterEvents");
  ask(f.wait_event, "nvmlEventSetWait_v2");
  if (f.wait_event == nullptr) ask(f.wait_event, "nvmlEventSetWait");  // fills in the first three fields
  ask(f.free_events, "nvmlEventSetFree");
  return f;
}

/// The last result of `function`, or nothing where it is not there or fails.
template <typename T, typename... Parameters, typename... Arguments>
std::optional<T> tell(int (*function)(Parameters...), Arguments... arguments) {
  T value{};
  if (function == nullptr || function(arguments..., &value) != nvml::kSuccess) return std::nullopt;
  return value;
}

template <typename Number>
std::optional<double> scaled(std::optional<Number> number, double factor = 1) {
  return number ? std::optional(static_cast<double>(*number) * factor) : std::nullopt;
}

/// The bits of the clocks' reasons that no healthy GPU at work has. An idle GPU, one at its power limit, and clocks
/// that somebody has set are as they should be.
constexpr std::array<std::pair<unsigned long long, std::string_view>, 5> kSlowedBy{{
    {0x20, "heat (driver)"},
    {0x40, "heat (hardware)"},
    {0x80, "power brake of the server"},
    {0x400, "reliability"},
    {0x8, "hardware slowdown"},
}};

class Nvml final : public GpuMonitor {
 public:
  explicit Nvml(const std::string& file) : library_(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (!library_)
      fail(Exit::NoDevice,
           "the NVIDIA driver's library cannot be loaded: {}. Install the driver, or start the container with "
           "--gpus all (--nv for Apptainer)",
           dlerror());
    f_ = find_functions(library_.get(), file);
    const int result = f_.init();
    require(
        result == nvml::kSuccess, Exit::NoDevice, "the NVIDIA driver does not answer: {}. {}", f_.error_text(result),
        result == nvml::kDriverNotLoaded          ? "Load it (modprobe nvidia), or install it for the running kernel"
        : result == nvml::kLibraryOfAnotherDriver ? "The driver was updated under a running system: restart the machine"
                                                  : "See nvidia-smi and dmesg");
    find_gpus();
    listen();
  }
  ~Nvml() override {
    if (events_ != nullptr && f_.free_events != nullptr) f_.free_events(events_);
    f_.shutdown();
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  const std::vector<GpuFacts>& gpus() const noexcept override { return gpus_; }

  GpuSample sample(int gpu) const override {
    GpuSample s;
    const auto device = handle(gpu);
    nvml::Memory memory{};
    const int result = device == nullptr ? nvml::kGpuIsLost : f_.memory(device, &memory);
    if (result == nvml::kGpuIsLost || result == nvml::kResetRequired || result == nvml::kUnknown) {
      s.trouble = device == nullptr ? gpus_.at(static_cast<std::size_t>(gpu)).trouble : f_.error_text(result);
      return s;
    }
    if (result == nvml::kSuccess) s.memory_free_bytes = static_cast<std::int64_t>(memory.free);
    if (const auto rates = tell<nvml::Utilization>(f_.utilization, device)) s.utilization = rates->gpu;
    s.power_watts = scaled(tell<unsigned>(f_.power, device), 1e-3);
    s.power_limit_watts = scaled(tell<unsigned>(f_.power_limit, device), 1e-3);
    s.temperature_celsius = scaled(tell<unsigned>(f_.temperature, device, 0));
    s.clock_mhz = scaled(tell<unsigned>(f_.clock, device, nvml::kClockOfMultiprocessors));
    s.memory_clock_mhz = scaled(tell<unsigned>(f_.clock, device, nvml::kClockOfMemory));
    const auto reasons = tell<unsigned long long>(f_.slowed_by, device).value_or(0);
    for (const auto& [bit, text] : kSlowedBy)
      if ((reasons & bit) != 0) s.slowed_by.push_back(text);
    // The hardware's slowdown stands beside its cause; alone it is a reason of its own.
    if (s.slowed_by.size() > 1 && s.slowed_by.back() == kSlowedBy.back().second) s.slowed_by.pop_back();
    return s;
  }

  GpuHealth health(int gpu) const override {
    GpuHealth h;
    const auto device = handle(gpu);
    if (device == nullptr) return h;
    if (const auto mode = tell<int>(f_.persistence, device)) h.persistence = *mode != 0;
    int now = 0;
    int next = 0;
    if (f_.ecc != nullptr && f_.ecc(device, &now, &next) == nvml::kSuccess) h.ecc = now != 0;
    h.corrected_errors = errors(device, nvml::kCorrected);
    h.uncorrected_errors = errors(device, nvml::kUncorrected);
    std::array<unsigned, 4> rows{};
    if (f_.remapped != nullptr && f_.remapped(device, &rows[0], &rows[1], &rows[2], &rows[3]) == nvml::kSuccess) {
      h.remap_pending = rows[2] != 0;
      h.remap_failed = rows[3] != 0;
    }
    h.full_clock_mhz = scaled(tell<unsigned>(f_.full_clock, device, nvml::kClockOfMultiprocessors));
    for (unsigned link = 0; link < nvml::kMostLinks; ++link)
      if (tell<int>(f_.link, device, link).value_or(0) != 0) ++h.nvlinks;
    return h;
  }

  GpuPath path(int from, int to) const override {
    const auto a = handle(from);
    const auto b = handle(to);
    if (a == nullptr || b == nullptr) return {};
    constexpr int kRead = 0;
    constexpr int kWrite = 1;
    constexpr int kNvlink = 2;
    const auto can = [&](int what) { return tell<int>(f_.peer, a, b, what) == 0; };
    return {can(kRead) && can(kWrite),
            can(kNvlink) ? "NVLink" : topology_text(tell<int>(f_.topology, a, b).value_or(-1))};
  }

  std::vector<GpuEvent> take_events() override {
    std::vector<GpuEvent> found;
    nvml::Event event{};
    while (events_ != nullptr && f_.wait_event(events_, &event, 0) == nvml::kSuccess) {
      if ((event.type & nvml::kXidEvents) == 0) continue;
      const auto at = std::find(handles_.begin(), handles_.end(), event.device);
      if (at != handles_.end())
        found.push_back({static_cast<int>(at - handles_.begin()), static_cast<int>(event.data)});
    }
    return found;
  }

  std::string driver_version() const override {
    std::array<char, 96> text{};
    if (f_.driver_version != nullptr) (void)f_.driver_version(text.data(), static_cast<unsigned>(text.size()));
    return text.data();
  }
  int cuda_version() const override { return tell<int>(f_.cuda_version).value_or(0); }

 private:
  void find_gpus() {
    unsigned count = 0;
    const int result = f_.count(&count);
    require(result == nvml::kSuccess, Exit::NoDevice,
            "the NVIDIA driver cannot count its GPUs: {}. See nvidia-smi and dmesg", f_.error_text(result));
    for (unsigned i = 0; i < count; ++i) {
      GpuFacts gpu;
      nvml::Device device = nullptr;
      nvml::Pci pci{};
      nvml::Memory memory{};
      std::array<char, 128> text{};
      int asked = f_.handle(i, &device);
      if (asked == nvml::kSuccess) {
        if (f_.name(device, text.data(), static_cast<unsigned>(text.size())) == nvml::kSuccess) gpu.name = text.data();
        if (f_.uuid(device, text.data(), static_cast<unsigned>(text.size())) == nvml::kSuccess) gpu.uuid = text.data();
        asked = f_.pci(device, &pci);
        gpu.bus_id = fmt::format("{:04x}:{:02x}:{:02x}.0", pci.domain, pci.bus, pci.device);
        const int told = f_.memory(device, &memory);
        if (asked == nvml::kSuccess && told != nvml::kNotSupported) asked = told;
        gpu.memory_bytes = static_cast<std::int64_t>(memory.total);
      }
      if (asked != nvml::kSuccess) {
        gpu.trouble = f_.error_text(asked);
        device = nullptr;
      }
      handles_.push_back(device);
      gpus_.push_back(std::move(gpu));
    }
  }

  /// Without the events a monitor is still of use.
  void listen() {
    if (f_.make_events == nullptr || f_.register_events == nullptr || f_.wait_event == nullptr) return;
    if (f_.make_events(&events_) != nvml::kSuccess) events_ = nullptr;
    if (events_ == nullptr) return;
    for (auto* device : handles_)
      if (device != nullptr) (void)f_.register_events(device, nvml::kXidEvents, events_);
  }

  [[nodiscard]] nvml::Device handle(int gpu) const { return handles_.at(static_cast<std::size_t>(gpu)); }

  [[nodiscard]] std::optional<std::int64_t> errors(nvml::Device device, int kind) const {
    const auto count = tell<unsigned long long>(f_.ecc_errors, device, kind, nvml::kSinceDriverLoaded);
    return count ? std::optional(static_cast<std::int64_t>(*count)) : std::nullopt;
  }

  static std::string_view topology_text(int level) {
    switch (level) {
      case 0: return "one board";
      case 10: return "one switch";
      case 20: return "several switches";
      case 30: return "host bridge";
      case 40: return "one socket";
      case 50: return "sockets";
      default: return "unknown";
    }
  }

  Handle<void*, close_library> library_;
  Functions f_{};
  std::vector<nvml::Device> handles_;
  std::vector<GpuFacts> gpus_;
  nvml::EventSet events_ = nullptr;
};

}  // namespace

std::optional<int> GpuMonitor::find(std::string_view identity) const {
  const auto same = [](char a, char b) { return std::tolower(a) == std::tolower(b); };
  const auto& all = gpus();
  for (std::size_t i = 0; i < all.size(); ++i)
    if (!identity.empty() && (all[i].uuid == identity || std::equal(all[i].bus_id.begin(), all[i].bus_id.end(),
                                                                    identity.begin(), identity.end(), same)))
      return static_cast<int>(i);
  return std::nullopt;
}

std::unique_ptr<GpuMonitor> make_gpu_monitor(const std::string& library) {
  return std::make_unique<Nvml>(library);
}

XidMeaning meaning_of_xid(int xid) {
  switch (xid) {
    case 13: return {"a kernel made an invalid access or instruction"};
    case 31: return {"a kernel touched memory that is not its own"};
    case 43: return {"a kernel was stopped after an error of the program"};
    case 45: return {"work was thrown away after an earlier error"};
    case 48: return {"memory error that ECC could not correct", true};
    case 61:
    case 62: return {"the GPU's own controller halted", true};
    case 63: return {"a bad row of memory is to be replaced at the next reset", true};
    case 64: return {"a bad row of memory could not be replaced", true};
    case 74: return {"an NVLink failed", true};
    case 79: return {"the GPU has fallen off the bus", true};
    case 92: return {"many memory errors that ECC corrected", true};
    case 94: return {"memory error, contained in one program", true};
    case 95: return {"memory error, not contained", true};
    case 119:
    case 120: return {"the GPU's system processor does not answer", true};
    case 136: return {"an NVLink could not be set up", true};
    default: return {"see NVIDIA's list of XID errors", true};
  }
}

}  // namespace ldmpi::backend
