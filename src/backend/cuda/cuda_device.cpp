#include "backend/cuda/cuda_device.h"

#include <cuda_runtime_api.h>

#include <array>
#include <thread>

#include "backend/cuda/kernels.h"
#include "backend/cuda/marks.h"
#include "backend/cuda/status.h"
#include "base/check.h"
#include "base/handle.h"

namespace ldmpi::backend::cuda {
namespace {

/// Left to the context, the modules of kernels, NCCL and recorded graphs: memory outside of the plan.
constexpr std::int64_t kOutsideOfPlan = std::int64_t{768} << 20;

using StreamHandle =
    Handle<cudaStream_t, [](cudaStream_t stream) { warn_cuda(cudaStreamDestroy(stream), "free a stream"); }>;
using GraphHandle = Handle<cudaGraph_t, [](cudaGraph_t graph) { warn_cuda(cudaGraphDestroy(graph), "free a graph"); }>;
using ExecutableHandle =
    Handle<cudaGraphExec_t, [](cudaGraphExec_t graph) { warn_cuda(cudaGraphExecDestroy(graph), "free a graph"); }>;

class DeviceMemory final : public Memory {
 public:
  explicit DeviceMemory(std::size_t bytes) : bytes_(bytes) {
    std::size_t free = 0;
    std::size_t total = 0;
    (void)cudaMemGetInfo(&free, &total);
    check_cuda(cudaMalloc(&data_, bytes),
               fmt::format("allocate {} MiB ({} of {} MiB are free)", bytes >> 20, free >> 20, total >> 20));
  }
  ~DeviceMemory() override { warn_cuda(cudaFree(data_), "free memory"); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  [[nodiscard]] void* data() const override { return data_; }
  [[nodiscard]] std::size_t bytes() const override { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_;
};

class GraphRecording final : public Recording {
 public:
  GraphRecording(cudaGraphExec_t graph, cudaStream_t stream) : graph_(graph), stream_(stream) {}
  void start() const override { check_cuda(cudaGraphLaunch(graph_.get(), stream_), "start the recorded step"); }

 private:
  ExecutableHandle graph_;
  cudaStream_t stream_;
};

StreamHandle make_stream() {
  cudaStream_t stream = nullptr;
  check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "make a stream");
  return StreamHandle(stream);
}

class CudaDevice final : public Device, public Site {
 public:
  CudaDevice(int index, const cudaDeviceProp& properties, const EngineOptions& options)
      : name_(properties.name), index_(index), stream_(make_stream()), engines_(stream_.get(), options) {}

  FreeMemory free_memory() const override {
    std::size_t free = 0;
    std::size_t total = 0;
    check_cuda(cudaMemGetInfo(&free, &total), "ask for free memory");
    return {std::max<std::int64_t>(0, static_cast<std::int64_t>(free) - kOutsideOfPlan), false};
  }
  std::unique_ptr<Memory> allocate(std::size_t bytes) override {
    auto memory = std::make_unique<DeviceMemory>(bytes);
    check_cuda(cudaMemsetAsync(memory->data(), 0, bytes, stream()), "clear memory");
    return memory;
  }
  void prepare(std::span<const NodeToMake> nodes) override { engines_.prepare(nodes); }
  KernelPtr make_kernel(const ir::Op& op, const NodeTypes& types) override {
    if (auto kernel = engines_.make_kernel(op, types)) return kernel;
    return make_own_kernel(op, types, *this);
  }
  void upload(void* device, const void* host, std::size_t bytes) override {
    check_cuda(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream()), "copy to the GPU");
    synchronize();
  }
  void download(void* host, const void* device, std::size_t bytes) override {
    check_cuda(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream()), "copy from the GPU");
    synchronize();
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream()), "copy on the GPU");
  }
  std::unique_ptr<Recording> record(const std::function<void()>& enqueue) override {
    check_cuda(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "begin to record the step");
    try {
      enqueue();
    } catch (...) {
      cudaGraph_t broken = nullptr;
      (void)cudaStreamEndCapture(stream(), &broken);
      const GraphHandle freed(broken);
      throw;
    }
    cudaGraph_t made = nullptr;
    check_cuda(cudaStreamEndCapture(stream(), &made), "record the step");
    const GraphHandle graph(made);
    cudaGraphExec_t executable = nullptr;
    check_cuda(cudaGraphInstantiate(&executable, graph.get(), 0), "prepare the recorded step");
    auto recording = std::make_unique<GraphRecording>(executable, stream());
    check_cuda(cudaGraphUpload(executable, stream()), "move the recorded step to the GPU");
    return recording;
  }
  std::unique_ptr<Marks> make_marks(std::size_t count) override { return make_device_marks(count, stream()); }
  bool idle() override {
    const auto code = cudaStreamQuery(stream());
    if (code == cudaErrorNotReady) return false;
    check_cuda(code, "finish the enqueued work");
    return true;
  }
  void synchronize() override { check_cuda(cudaStreamSynchronize(stream()), "finish the enqueued work"); }
  std::string description() const override {
    int runtime = 0;
    int driver = 0;
    (void)cudaRuntimeGetVersion(&runtime);
    (void)cudaDriverGetVersion(&driver);
    return fmt::format("{}, CUDA {}.{} (driver for {}.{}), cuDNN {}, cuBLASLt {}", name_, runtime / 1000,
                       runtime / 10 % 100, driver / 1000, driver / 10 % 100, Cudnn::version(), Blas::version());
  }
  std::string identity() const override {
    std::array<char, 64> bus{};
    check_cuda(cudaDeviceGetPCIBusId(bus.data(), static_cast<int>(bus.size()), index_), "ask for the PCI address");
    return bus.data();
  }
  void* native_stream() const override { return stream(); }

  // Site
  Stream stream() const override { return stream_.get(); }
  std::shared_ptr<const void> keep(std::span<const std::byte> bytes) override {
    auto memory = std::make_shared<DeviceMemory>(bytes.size());
    check_cuda(cudaMemcpy(memory->data(), bytes.data(), bytes.size(), cudaMemcpyHostToDevice), "copy to the GPU");
    return {memory, memory->data()};
  }

 private:
  std::string name_;
  int index_;
  StreamHandle stream_;
  Engines engines_;
};

}  // namespace

int device_count() {
  int driver = 0;
  (void)cudaDriverGetVersion(&driver);
  require(driver > 0, Exit::NoDevice,
          "the NVIDIA driver is not installed, not loaded, or hidden from this container (libcuda.so.1 was not found): "
          "check nvidia-smi");
  int count = 0;
  check_cuda(cudaGetDeviceCount(&count), "find a GPU");
  return count;
}

std::unique_ptr<Device> make_device(int index, const EngineOptions& options) {
  check_cuda(cudaSetDevice(index), "take the GPU");
  cudaDeviceProp properties{};
  check_cuda(cudaGetDeviceProperties(&properties, index), "ask for the properties of the GPU");
  require(properties.major >= 8, Exit::NoDevice,
          "GPU {} ({}) has compute capability {}.{}; 8.0 (A100) or newer is needed, e.g. RTX 30, A10, L4, H100. Use "
          "--device cpu, or another node",
          index, properties.name, properties.major, properties.minor);
  return std::make_unique<CudaDevice>(index, properties, options);
}

}  // namespace ldmpi::backend::cuda
