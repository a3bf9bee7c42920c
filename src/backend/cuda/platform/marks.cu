#include "backend/cuda/marks.h"

#include <cuda_runtime.h>

#include <cstring>

#include "backend/cuda/status.h"
#include "base/handle.h"

namespace ldmpi::backend::cuda {
namespace {

using Nanoseconds = unsigned long long;

__global__ void write_time(volatile Nanoseconds* mark) {
  Nanoseconds now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  *mark = now;
  __threadfence_system();
}

void free_pinned(Nanoseconds* memory) {
  warn_cuda(cudaFreeHost(memory), "free memory of the host");
}

class DeviceMarks final : public Marks {
 public:
  DeviceMarks(std::size_t count, Stream stream) : stream_(stream) {
    void* memory = nullptr;
    check_cuda(cudaHostAlloc(&memory, count * sizeof(Nanoseconds), cudaHostAllocMapped), "share memory with the host");
    std::memset(memory, 0, count * sizeof(Nanoseconds));
    host_ = Handle<Nanoseconds*, free_pinned>(static_cast<Nanoseconds*>(memory));
    check_cuda(cudaHostGetDevicePointer(&memory, host_.get(), 0), "share memory with the host");
    device_ = static_cast<Nanoseconds*>(memory);
  }

  void set(std::size_t i) override {
    write_time<<<1, 1, 0, stream_>>>(device_ + i);
    check_cuda(cudaGetLastError(), "mark a phase");
  }
  double seconds(std::size_t i) const override {
    return static_cast<double>(static_cast<volatile const Nanoseconds*>(host_.get())[i]) * 1e-9;
  }

 private:
  Stream stream_;
  Handle<Nanoseconds*, free_pinned> host_;
  Nanoseconds* device_ = nullptr;
};

}  // namespace

std::unique_ptr<Marks> make_device_marks(std::size_t count, Stream stream) {
  return std::make_unique<DeviceMarks>(count, stream);
}

}  // namespace ldmpi::backend::cuda
