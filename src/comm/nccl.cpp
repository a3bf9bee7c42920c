#include "comm/nccl.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <nccl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <future>
#include <thread>

#include "base/check.h"
#include "base/clock.h"
#include "base/handle.h"
#include "base/log.h"
#include "comm/agree.h"

namespace ldmpi::comm {
namespace {

using StreamHandle = Handle<cudaStream_t, [](cudaStream_t stream) { (void)cudaStreamDestroy(stream); }>;
using EventHandle = Handle<cudaEvent_t, [](cudaEvent_t event) { (void)cudaEventDestroy(event); }>;

void check_cuda(cudaError_t code, std::string_view what) {
  require(code == cudaSuccess, Exit::Requeue, "cannot {} for NCCL: {}", what, cudaGetErrorString(code));
}

ncclDataType_t data_type(DType type) {
  switch (type) {
    case DType::F32: return ncclFloat32;
    case DType::F64: return ncclFloat64;
    case DType::BF16: return ncclBfloat16;
    case DType::F16: return ncclFloat16;
    case DType::I64: return ncclInt64;
    default: LDMPI_CHECK(false, "no collectives of {}", name_of(type)); return ncclFloat32;
  }
}

/// The communicator of NCCL and what ends it.
class Link {
 public:
  explicit Link(const NcclOptions& options) : options_(options) {}
  ~Link() {
    if (comm_ == nullptr) return;
    if (failed_ || std::uncaught_exceptions() > 0)
      give_up();
    else
      (void)ncclCommDestroy(comm_);
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  void connect(const ncclUniqueId& id, int rank, int ranks) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;  // a blocking one could hang in a call for ever
    settle(ncclCommInitRankConfig(&comm_, ranks, id, rank, &config), "connect the ranks", options_.connect_seconds);
  }

  /// Waits until a call that may still be under way is done.
  void settle(ncclResult_t result, std::string_view what, double seconds) {
    const auto since = Clock::now();
    while (result == ncclInProgress) {
      if (seconds_since(since) > seconds)
        broken(fmt::format("cannot {} within {} s: a rank is missing, or the network between the nodes is not open. "
                           "NCCL_DEBUG=INFO tells more; NCCL_SOCKET_IFNAME names the interface to use",
                           what, seconds));
      std::this_thread::sleep_for(std::chrono::microseconds(100));
      const auto asked = ncclCommGetAsyncError(comm_, &result);
      if (asked != ncclSuccess) result = asked;
    }
    if (result != ncclSuccess) broken(fmt::format("cannot {}: {}", what, reason(result)));
  }

  /// Throws where NCCL has met an error meanwhile.
  void check() {
    ncclResult_t result = ncclSuccess;
    const auto asked = ncclCommGetAsyncError(comm_, &result);
    if (asked != ncclSuccess) result = asked;
    if (result != ncclSuccess && result != ncclInProgress)
      broken(fmt::format("lost the other ranks: {}", reason(result)));
  }

  [[noreturn]] void broken(const std::string& message) {
    failed_ = true;
    fail(Exit::Requeue, "NCCL {} {}", nccl_version(), message);
  }

  [[nodiscard]] ncclComm_t get() const { return comm_; }

 private:
  [[nodiscard]] std::string reason(ncclResult_t result) const {
    const char* last = ncclGetLastError(comm_);
    return fmt::format("{}{}{}", ncclGetErrorString(result), last != nullptr && *last != '\0' ? ": " : "",
                       last == nullptr ? "" : last);
  }

  /// ncclCommAbort may hang itself where a peer is gone: then the process ends, which frees the device as well.
  void give_up() {
    std::promise<void> done;
    auto finished = done.get_future();
    std::thread([comm = comm_, done = std::move(done)]() mutable {
      (void)ncclCommAbort(comm);
      done.set_value();
    }).detach();
    if (finished.wait_for(std::chrono::duration<double>(options_.abort_seconds)) == std::future_status::ready) return;
    log::error("NCCL does not give up within {} s; the process ends", options_.abort_seconds);
    log::flush();
    _exit(static_cast<int>(Exit::Requeue));
  }

  NcclOptions options_;
  ncclComm_t comm_ = nullptr;
  bool failed_ = false;
};

class NcclRequest final : public Request {
 public:
  using Call = std::function<ncclResult_t(cudaStream_t)>;

  NcclRequest(Link& link, cudaStream_t main, cudaStream_t side, Traffic& traffic, std::size_t bytes, Call call)
      : link_(link), main_(main), side_(side), traffic_(traffic), bytes_(bytes), call_(std::move(call)) {
    for (auto* event : {&before_, &behind_}) {
      cudaEvent_t made = nullptr;
      check_cuda(cudaEventCreateWithFlags(&made, cudaEventDisableTiming), "make an event");
      *event = EventHandle(made);
    }
  }

  void start() override {
    ++traffic_.calls;
    traffic_.buffer_bytes += bytes_;
    check_cuda(cudaEventRecord(before_.get(), main_), "order a collective");
    check_cuda(cudaStreamWaitEvent(side_, before_.get(), 0), "order a collective");
    const auto result = call_(side_);
    if (result != ncclSuccess) link_.settle(result, "start a collective", kStartSeconds);
    check_cuda(cudaEventRecord(behind_.get(), side_), "order a collective");
  }
  bool test() override { return true; }
  void wait() override { check_cuda(cudaStreamWaitEvent(main_, behind_.get(), 0), "wait for a collective"); }

 private:
  static constexpr double kStartSeconds = 60;
  Link& link_;
  cudaStream_t main_;
  cudaStream_t side_;
  Traffic& traffic_;
  std::size_t bytes_;
  Call call_;
  EventHandle before_, behind_;
};

class NcclCollectives final : public Collectives {
 public:
  NcclCollectives(Communicator& host, void* stream, const NcclOptions& options)
      : options_(options), rank_(host.rank()), size_(host.size()), main_(static_cast<cudaStream_t>(stream)),
        link_(options) {
    int least = 0;
    int greatest = 0;
    check_cuda(cudaDeviceGetStreamPriorityRange(&least, &greatest), "ask for priorities");
    cudaStream_t side = nullptr;
    check_cuda(cudaStreamCreateWithPriority(&side, cudaStreamNonBlocking, greatest), "make a stream");
    side_ = StreamHandle(side);
    ncclUniqueId id{};
    agree(host, [&] {
      if (rank_ != 0) return;
      const auto result = ncclGetUniqueId(&id);
      require(result == ncclSuccess, Exit::NoDevice, "NCCL cannot open a port for the ranks to meet: {}",
              ncclGetErrorString(result));
    });
    host.broadcast(std::as_writable_bytes(std::span(&id, 1)), 0);
    agree(host, [&] {
      try {
        link_.connect(id, rank_, size_);
      } catch (const Error& error) {
        fail(Exit::NoDevice, "{}", error.what());
      }
    });
  }

  int size() const noexcept override { return size_; }
  bool only_enqueue() const noexcept override { return true; }

  std::unique_ptr<Request> prepare_all_reduce(void* buffer, std::size_t count, DType type) override {
    return prepare(Collective::AllReduce, count * size_of(type), [=, this](cudaStream_t stream) {
      return ncclAllReduce(buffer, buffer, count, data_type(type), ncclSum, link_.get(), stream);
    });
  }
  std::unique_ptr<Request> prepare_reduce_scatter(void* buffer, std::size_t count, DType type) override {
    auto* mine = slice(buffer, count, type);
    return prepare(Collective::ReduceScatter, all(count, type), [=, this](cudaStream_t stream) {
      return ncclReduceScatter(buffer, mine, count, data_type(type), ncclSum, link_.get(), stream);
    });
  }
  std::unique_ptr<Request> prepare_all_gather(void* buffer, std::size_t count, DType type) override {
    auto* mine = slice(buffer, count, type);
    return prepare(Collective::AllGather, all(count, type), [=, this](cudaStream_t stream) {
      return ncclAllGather(mine, buffer, count, data_type(type), link_.get(), stream);
    });
  }
  Traffic traffic(Collective kind) const noexcept override { return traffic_[static_cast<std::size_t>(kind)]; }

  void watch(double waited) override {
    link_.check();
    if (waited > options_.wait_seconds)
      link_.broken(fmt::format("waits for the other ranks since {:.0f} s: one of them hangs or is gone", waited));
  }

 private:
  std::unique_ptr<Request> prepare(Collective kind, std::size_t bytes, NcclRequest::Call call) {
    return std::make_unique<NcclRequest>(link_, main_, side_.get(), traffic_[static_cast<std::size_t>(kind)], bytes,
                                         std::move(call));
  }
  [[nodiscard]] std::byte* slice(void* buffer, std::size_t count, DType type) const {
    return static_cast<std::byte*>(buffer) + static_cast<std::size_t>(rank_) * count * size_of(type);
  }
  [[nodiscard]] std::size_t all(std::size_t count, DType type) const {
    return static_cast<std::size_t>(size_) * count * size_of(type);
  }

  NcclOptions options_;
  int rank_;
  int size_;
  cudaStream_t main_;
  StreamHandle side_;
  Link link_;
  std::array<Traffic, 3> traffic_{};
};

/// Settings of NCCL are read from the environment; what the user has set stays.
void fix_algorithm() {
  for (const auto& [name, value] : {std::pair{"NCCL_ALGO", "Ring"}, {"NCCL_PROTO", "Simple"}}) setenv(name, value, 0);
}

}  // namespace

std::unique_ptr<Collectives> make_nccl_collectives(Communicator& host, void* stream, const NcclOptions& options) {
  agree_equal(host, "their NCCL", nccl_version(), "install the same NCCL on every node", Exit::NoDevice);
  if (options.deterministic) fix_algorithm();
  return std::make_unique<NcclCollectives>(host, stream, options);
}

std::string nccl_version() {
  int version = 0;
  (void)ncclGetVersion(&version);
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace ldmpi::comm
