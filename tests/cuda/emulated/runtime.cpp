// The CUDA runtime for the emulated device: memory of the host, streams of streams.h. EMULATED_ORDER=side lets the
// streams made last run first. EMULATED_GPUS is the number of devices.

#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>

#include "../../ops/emulated/emulator.h"
#include "streams.h"

struct CUstream_st {
  int number = 0;
};
struct CUevent_st {
  std::uint64_t version = 0;
  std::chrono::steady_clock::time_point at;
  ldmpi::emulation::Work* in = nullptr;  ///< where it was recorded last
};
struct CUgraph_st {
  std::shared_ptr<ldmpi::emulation::Work> work;
};
struct CUgraphExec_st {
  std::shared_ptr<ldmpi::emulation::Work> work;
};

namespace {

using ldmpi::emulation::Work;
using Kind = Work::Item::Kind;

struct Runtime {
  Work now;
  std::shared_ptr<Work> recording;
  CUstream_st* origin = nullptr;
  std::map<const void*, std::size_t> memory;
  std::size_t used = 0;
  int device = 0;
  bool last_first = false;
};

void enqueue(CUstream_st* stream, std::function<void()> work);

Runtime& runtime() {
  static Runtime instance = [] {
    Runtime made;
    const char* order = std::getenv("EMULATED_ORDER");
    made.last_first = order != nullptr && std::strcmp(order, "side") == 0;
    ldmpi::emulation::set_queue(enqueue);
    return made;
  }();
  return instance;
}

int number(const char* name, int other) {
  const char* text = std::getenv(name);
  return text == nullptr ? other : std::atoi(text);
}

/// A stream is recorded from the start of the recording, or from its first wait for something recorded.
Work& work_of(CUstream_st* stream) {
  auto& r = runtime();
  return r.recording && (stream == r.origin || r.recording->has(stream)) ? *r.recording : r.now;
}

void enqueue(CUstream_st* stream, std::function<void()> work) {
  work_of(stream).add(stream, {Kind::Run, std::move(work), nullptr, 0});
}

cudaError_t finish() {
  auto& r = runtime();
  if (r.recording) return cudaErrorStreamCaptureUnsupported;
  Work work;
  std::swap(work, r.now);
  work.run(r.last_first);
  return cudaSuccess;
}

constexpr std::size_t kMemory = std::size_t{4} << 30;

}  // namespace

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = number("EMULATED_GPUS", 2);
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = runtime().device;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  runtime().device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
  *properties = {};
  std::strcpy(properties->name, "emulated GPU");
  properties->major = number("EMULATED_CAPABILITY", 9);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetPCIBusId(char* id, int size, int device) {
  std::snprintf(id, static_cast<std::size_t>(size), "0000:%02x:00.0", device + 1);
  return cudaSuccess;
}
const char* cudaGetErrorString(cudaError_t error) {
  static const std::map<int, const char*> texts{{cudaErrorMemoryAllocation, "out of memory"},
                                                {cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"}};
  const auto found = texts.find(error);
  return found == texts.end() ? "an error" : found->second;
}
const char* cudaGetErrorName(cudaError_t) { return "cudaErrorEmulated"; }
cudaError_t cudaGetLastError() { return cudaSuccess; }

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
  auto& r = runtime();
  if (r.used + bytes > kMemory) return cudaErrorMemoryAllocation;
  *memory = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  std::memset(*memory, 0xFF, bytes);
  r.memory[*memory] = bytes;
  r.used += bytes;
  return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  auto& r = runtime();
  r.used -= r.memory[memory];
  r.memory.erase(memory);
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *total = kMemory;
  *free = kMemory - runtime().used;
  return cudaSuccess;
}
cudaError_t cudaMemset(void* memory, int value, std::size_t bytes) {
  std::memset(memory, value, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t stream) {
  enqueue(stream, [=] { std::memset(memory, value, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  enqueue(stream, [=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  (void)runtime();
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const auto error = finish();
  delete stream;
  return error;
}
cudaError_t cudaStreamQuery(cudaStream_t) {
  // Something is left on the first look, as on a real device.
  auto& r = runtime();
  if (r.now.empty()) return cudaSuccess;
  (void)finish();
  return cudaErrorNotReady;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) { return finish(); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const auto error = finish();
  delete event;
  return error;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  auto& work = work_of(stream);
  event->in = &work;
  work.add(stream, {Kind::Run, [event] { event->at = std::chrono::steady_clock::now(); }, nullptr, 0});
  work.add(stream, {Kind::Record, {}, event, ++event->version});
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  auto& r = runtime();
  auto& work = r.recording && event->in == r.recording.get() ? *r.recording : work_of(stream);
  work.add(stream, {Kind::Wait, {}, event, event->version});
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return finish(); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->at - begin->at).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  auto& r = runtime();
  r.recording = std::make_shared<Work>();
  r.origin = stream;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  auto work = std::move(runtime().recording);
  *graph = nullptr;
  if (!work->joined(stream)) return cudaErrorStreamCaptureUnjoined;
  *graph = new CUgraph_st{std::move(work)};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  enqueue(stream, [work = executable->work] { work->run(runtime().last_first); });
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

}  // extern "C"
