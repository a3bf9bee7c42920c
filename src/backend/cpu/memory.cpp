#include "backend/cpu/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <string>

#include "base/check.h"
#include "base/control_group.h"

namespace ldmpi::backend::cpu {

namespace {

constexpr std::size_t kHuge = std::size_t{2} << 20;
constexpr std::size_t kPage = 4096;

class HostMemory final : public Memory {
 public:
  HostMemory(void* map, std::size_t mapped, std::size_t bytes) : map_(map), mapped_(mapped), bytes_(bytes) {}
  ~HostMemory() override { ::munmap(map_, mapped_); }
  [[nodiscard]] void* data() const override {
    const auto address = reinterpret_cast<std::uintptr_t>(map_);
    return static_cast<std::byte*>(map_) + ((kHuge - address % kHuge) % kHuge);
  }
  [[nodiscard]] std::size_t bytes() const override { return bytes_; }

 private:
  void* map_;
  std::size_t mapped_;
  std::size_t bytes_;
};

}  // namespace

std::size_t available_memory() {
  std::ifstream system("/proc/meminfo");
  std::int64_t bytes = std::numeric_limits<std::int64_t>::max();
  for (std::string key; system >> key;) {
    std::int64_t kibibytes = 0;
    if (key == "MemAvailable:" && system >> kibibytes) bytes = kibibytes * 1024;
  }
  return static_cast<std::size_t>(std::min(bytes, control_group_memory().value_or(bytes)));
}

std::unique_ptr<Memory> allocate_memory(std::size_t bytes) {
  const std::size_t free = available_memory();
  // Asked first: the kernel promises more than there is and ends the process when the pages are touched.
  require(bytes <= free, Exit::NoDevice,
          "cannot allocate {} bytes ({:.2f} GiB) of host memory: {} bytes ({:.2f} GiB) are free. "
          "Use a smaller batch_size, fewer ranks on this machine, or ask for more memory.",
          bytes, static_cast<double>(bytes) / 0x1p30, free, static_cast<double>(free) / 0x1p30);
  const std::size_t mapped = std::max(bytes, kPage) + kHuge;
  void* map = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  require(map != MAP_FAILED, Exit::NoDevice,
          "cannot allocate {} bytes of host memory: {} ({} bytes are free; see also `ulimit -v`)", bytes,
          std::strerror(errno), free);
  auto memory = std::make_unique<HostMemory>(map, mapped, bytes);
  if (bytes >= kHuge) ::madvise(memory->data(), bytes, MADV_HUGEPAGE);
  auto* data = static_cast<volatile std::byte*>(memory->data());
#pragma omp parallel for schedule(static)
  for (std::size_t at = 0; at < bytes; at += kPage) data[at] = std::byte{0};
  return memory;
}

}  // namespace ldmpi::backend::cpu
