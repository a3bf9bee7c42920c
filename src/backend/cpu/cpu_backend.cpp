#include "backend/cpu/cpu_backend.h"

#include <malloc.h>
#include <omp.h>
#include <dnnl.hpp>

#include <cstring>

#include "backend/cpu/memory.h"
#include "backend/cpu/weight_layout.h"
#include "base/check.h"
#include "base/clock.h"

namespace ldmpi::backend {

namespace {

int resolve_threads(int threads) {
  require(threads >= 0, Exit::BadConfig, "threads must be 0 (all cores allotted) or positive, not {}", threads);
  return threads > 0 ? threads : omp_get_num_procs();
}

std::string_view instruction_set() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41: return "SSE4.1";
    case dnnl::cpu_isa::avx: return "AVX";
    case dnnl::cpu_isa::avx2:
    case dnnl::cpu_isa::avx2_vnni: return "AVX2";
    case dnnl::cpu_isa::avx512_core:
    case dnnl::cpu_isa::avx512_core_vnni:
    case dnnl::cpu_isa::avx512_core_bf16: return "AVX-512";
    case dnnl::cpu_isa::avx512_core_amx: return "AVX-512 and AMX";
    default: return "generic";
  }
}

class CpuLowering final : public Lowering {
 public:
  explicit CpuLowering(int threads) : threads_(threads) {}

  [[nodiscard]] std::string target() const override { return fmt::format("cpu:threads={}", threads_); }
  [[nodiscard]] NodeAnswer answer(const ir::Op& op, const NodeTypes& types) const override {
    omp_set_num_threads(threads_);  // scratch is counted per thread
    return cpu_answer(op, types);
  }
  [[nodiscard]] WeightLayout weight_layout(const Shape& block) const override { return cpu::weight_layout_of(block); }
  void pack(const Shape& block, std::span<const float> canonical, std::span<float> storage) const override {
    cpu::pack_weight(block, canonical, storage);
  }
  void unpack(const Shape& block, std::span<const float> storage, std::span<float> canonical) const override {
    cpu::unpack_weight(block, storage, canonical);
  }

 private:
  int threads_;
};

class ClockMarks final : public Marks {
 public:
  explicit ClockMarks(std::size_t count) : seconds_(count) {}
  void set(std::size_t i) override {
    seconds_[i] = std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
  }
  [[nodiscard]] double seconds(std::size_t i) const override { return seconds_[i]; }

 private:
  std::vector<double> seconds_;
};

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(int threads) : threads_(threads) {}

  [[nodiscard]] FreeMemory free_memory() const override {
    return {static_cast<std::int64_t>(cpu::available_memory()), true};
  }
  [[nodiscard]] std::unique_ptr<Memory> allocate(std::size_t bytes) override { return cpu::allocate_memory(bytes); }
  [[nodiscard]] KernelPtr make_kernel(const ir::Op& op, const NodeTypes& types) override {
    omp_set_num_threads(threads_);
    return make_cpu_kernel(op, types);
  }
  void upload(void* device, const void* host, std::size_t bytes) override { std::memcpy(device, host, bytes); }
  void download(void* host, const void* device, std::size_t bytes) override { std::memcpy(host, device, bytes); }
  void copy(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  [[nodiscard]] std::unique_ptr<Recording> record(const std::function<void()>&) override { return nullptr; }
  [[nodiscard]] std::unique_ptr<Marks> make_marks(std::size_t count) override {
    return std::make_unique<ClockMarks>(count);
  }
  [[nodiscard]] bool idle() override { return true; }
  void synchronize() override {}
  [[nodiscard]] std::string description() const override {
    const auto* version = dnnl_version();
    return fmt::format("CPU, {} thread{}, {}, oneDNN {}.{}.{}", threads_, threads_ == 1 ? "" : "s", instruction_set(),
                       version->major, version->minor, version->patch);
  }

 private:
  int threads_;
};

}  // namespace

std::unique_ptr<Lowering> make_cpu_lowering(int threads) {
  const int resolved = resolve_threads(threads);
  omp_set_num_threads(resolved);
  return std::make_unique<CpuLowering>(resolved);
}

std::unique_ptr<Device> make_cpu_device(int threads) {
  const int resolved = resolve_threads(threads);
  omp_set_num_threads(resolved);
#ifdef M_MMAP_THRESHOLD
  // oneDNN's gemm takes its packing buffers (up to some MiB) from malloc in every call: kept in the heap, they are
  // not mapped and faulted in again in every step.
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
  return std::make_unique<CpuDevice>(resolved);
}

}  // namespace ldmpi::backend
