// libnvidia-ml.so.1 of a machine that a text file describes, $STAND_IN_NVML, read anew at each call. Lines "key value":
//   driver 580.65.06   cuda 13000   gpus 2   init 0     the system; init is what nvmlInit answers
//   0.name, 0.uuid, 0.bus, 0.memory_mib, 0.free_mib, 0.utilization, 0.power_mw, 0.power_limit_mw, 0.temperature,
//   0.clock, 0.full_clock, 0.slowed (mask), 0.persistence, 0.ecc, 0.corrected, 0.uncorrected, 0.remap_pending,
//   0.remap_failed, 0.nvlinks                           GPU 0; "none": not supported
//   0.error 15                                          what every call for GPU 0 answers
//   0.xid 79                                            a critical event, reported once
//   peer 5                                              why GPUs do not reach each other; 0: they do
//   topology 50
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace {

constexpr int kMost = 16;
int devices[kMost];      // their addresses are the handles
std::set<int> reported;  // GPUs whose event has been taken

std::string value(const std::string& key, const std::string& other) {
  const char* path = std::getenv("STAND_IN_NVML");
  std::ifstream file(path == nullptr ? "" : path);
  std::string found = other;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == key) std::getline(words >> std::ws, found);
  }
  return found;
}
int number(const std::string& key, int other) {
  return std::atoi(value(key, std::to_string(other)).c_str());
}
int index_of(const void* device) {
  return static_cast<int>(static_cast<const int*>(device) - devices);
}
std::string key_of(const void* device, const char* name) {
  return std::to_string(index_of(device)) + "." + name;
}

int error_of(const void* device) {
  return number(key_of(device, "error"), 0);
}

template <typename T>
int give(const void* device, const char* name, T* target, long long other) {
  if (const int error = error_of(device); error != 0) return error;
  const auto text = value(key_of(device, name), std::to_string(other));
  if (text == "none") return 3;
  *target = static_cast<T>(std::stoll(text, nullptr, 0));
  return 0;
}
int give_text(const void* device, const std::string& text, char* target, unsigned size) {
  if (device != nullptr && error_of(device) != 0) return error_of(device);
  std::snprintf(target, size, "%s", text.c_str());
  return 0;
}

struct Memory {
  unsigned long long total, free, used;
};
struct Pci {
  char legacy[16];
  unsigned domain, bus, device, device_id, subsystem_id;
  char bus_id[32];
};
struct Event {
  void* device;
  unsigned long long type, data;
  unsigned gpu_instance, compute_instance;
};

}  // namespace

extern "C" {

int nvmlInit_v2() {
  return number("init", 0);
}
int nvmlShutdown() {
  return 0;
}
const char* nvmlErrorString(int error) {
  switch (error) {
    case 3: return "Not Supported";
    case 9: return "Driver Not Loaded";
    case 15: return "GPU is lost";
    case 16: return "GPU requires reset";
    case 18: return "Driver/library version mismatch";
    default: return "Unknown Error";
  }
}
int nvmlSystemGetDriverVersion(char* text, unsigned size) {
  return give_text(nullptr, value("driver", "580.65.06"), text, size);
}
int nvmlSystemGetCudaDriverVersion_v2(int* version) {
  *version = number("cuda", 13000);
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = static_cast<unsigned>(number("gpus", 2));
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  *device = &devices[index];
  return error_of(*device);
}
int nvmlDeviceGetName(void* device, char* text, unsigned size) {
  return give_text(device, value(key_of(device, "name"), "NVIDIA H100 80GB HBM3"), text, size);
}
int nvmlDeviceGetUUID(void* device, char* text, unsigned size) {
  return give_text(device, value(key_of(device, "uuid"), "GPU-0000000" + std::to_string(index_of(device))), text, size);
}
int nvmlDeviceGetPciInfo_v3(void* device, Pci* pci) {
  std::memset(pci, 0, sizeof *pci);
  return give(device, "bus", &pci->bus, index_of(device) + 1);
}
int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
  unsigned long long total = 0;
  unsigned long long free = 0;
  if (const int error = give(device, "memory_mib", &total, 81559); error != 0) return error;
  if (const int error = give(device, "free_mib", &free, 81000); error != 0) return error;
  *memory = {total << 20, free << 20, (total - free) << 20};
  return 0;
}
int nvmlDeviceGetUtilizationRates(void* device, unsigned* rates) {
  return give(device, "utilization", rates, 0);
}
int nvmlDeviceGetPowerUsage(void* device, unsigned* milliwatts) {
  return give(device, "power_mw", milliwatts, 71500);
}
int nvmlDeviceGetEnforcedPowerLimit(void* device, unsigned* milliwatts) {
  return give(device, "power_limit_mw", milliwatts, 700000);
}
int nvmlDeviceGetTemperature(void* device, int, unsigned* celsius) {
  return give(device, "temperature", celsius, 34);
}
int nvmlDeviceGetClockInfo(void* device, int kind, unsigned* mhz) {
  return give(device, kind == 2 ? "memory_clock" : "clock", mhz, kind == 2 ? 2619 : 345);
}
int nvmlDeviceGetMaxClockInfo(void* device, int, unsigned* mhz) {
  return give(device, "full_clock", mhz, 1980);
}
int nvmlDeviceGetPersistenceMode(void* device, int* mode) {
  return give(device, "persistence", mode, 1);
}
int nvmlDeviceGetEccMode(void* device, int* now, int* next) {
  *next = 0;
  return give(device, "ecc", now, 1);
}
int nvmlDeviceGetTotalEccErrors(void* device, int kind, int, unsigned long long* count) {
  return give(device, kind == 0 ? "corrected" : "uncorrected", count, 0);
}
int nvmlDeviceGetNvLinkState(void* device, unsigned link, int* up) {
  int links = 0;
  const int error = give(device, "nvlinks", &links, 18);
  *up = static_cast<int>(link) < links ? 1 : 0;
  return error;
}
int nvmlDeviceGetP2PStatus(void*, void*, int, int* status) {
  *status = number("peer", 0);
  return 0;
}
int nvmlDeviceGetTopologyCommonAncestor(void*, void*, int* level) {
  *level = number("topology", 50);
  return 0;
}
#ifndef OLD_DRIVER
int nvmlDeviceGetCurrentClocksThrottleReasons(void* device, unsigned long long* reasons) {
  return give(device, "slowed", reasons, 1);
}
int nvmlDeviceGetRemappedRows(void* device, unsigned* corrected, unsigned* uncorrected, unsigned* pending,
                              unsigned* failed) {
  *corrected = *uncorrected = 0;
  if (const int error = give(device, "remap_pending", pending, 0); error != 0) return error;
  return give(device, "remap_failed", failed, 0);
}
int nvmlEventSetCreate(void** set) {
  *set = devices;
  return 0;
}
int nvmlEventSetFree(void*) {
  return 0;
}
int nvmlDeviceRegisterEvents(void*, unsigned long long, void*) {
  return 0;
}
int nvmlEventSetWait_v2(void*, Event* event, unsigned) {
  for (int i = 0; i < number("gpus", 2); ++i) {
    const int xid = number(std::to_string(i) + ".xid", 0);
    if (xid == 0 || !reported.insert(i).second) continue;
    *event = {&devices[i], 8, static_cast<unsigned long long>(xid), 0, 0};
    return 0;
  }
  return 10;
}
#endif

}  // extern "C"
