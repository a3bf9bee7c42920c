#pragma once
// The ranks of one job as the rest of the program sees them. All buffers are host memory; only the main thread calls.
// Every rank makes the same calls with the same sizes in the same order, prepare_* and start included; only test and
// wait may come in any order.
// Failures of the network throw Error(IoError).

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"

namespace ldmpi::comm {

struct Environment;

enum class Reduction { Min, Max, Sum };
enum class Collective { AllReduce, ReduceScatter, AllGather };

/// What the non-blocking collectives of one kind have moved so far, on this rank.
struct Traffic {
  std::uint64_t calls = 0;
  std::uint64_t buffer_bytes = 0;  ///< bytes of the whole buffers handed in, equal on all ranks: compare with the plan
  std::uint64_t sent_bytes = 0;    ///< payload really sent by this rank; see sent_bytes()
};

/// A collective bound to its buffer, reusable: start, then test until true (or wait), then it may start again.
/// Any test or wait moves every collective in flight. start, test and wait allocate nothing (MPI itself may).
/// It must not outlive its communicator. Destroying it in flight gives it up: only for a job that is about to end.
class Request {
 public:
  Request() = default;
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  virtual ~Request() = default;

  virtual void start() = 0;               ///< the buffer belongs to the collective from here on
  [[nodiscard]] virtual bool test() = 0;  ///< makes progress without blocking; true when done (or never started)
  virtual void wait() = 0;                ///< returns when done
};

/// The collectives of the step, on buffers in the memory of the device that runs it: bound once, started many times.
/// Types F32, F64, BF16, F16, I64; sums in place.
class Collectives {
 public:
  Collectives() = default;
  Collectives(const Collectives&) = delete;
  Collectives& operator=(const Collectives&) = delete;
  virtual ~Collectives() = default;

  [[nodiscard]] virtual int size() const noexcept = 0;
  /// True where start() and wait() of the requests only enqueue on the device, between the work before and behind
  /// them, so that they can be recorded (backend::Device::record).
  [[nodiscard]] virtual bool only_enqueue() const noexcept { return false; }

  /// `buffer`: `count` elements, all of them summed over the ranks.
  [[nodiscard]] virtual std::unique_ptr<Request> prepare_all_reduce(void* buffer, std::size_t count, DType type) = 0;
  /// `buffer`: size() slices of `count` elements. Rank r's slice r becomes the sum; the other slices are left
  /// undefined.
  [[nodiscard]] virtual std::unique_ptr<Request> prepare_reduce_scatter(void* buffer, std::size_t count,
                                                                        DType type) = 0;
  /// `buffer`: size() slices of `count` elements. Rank r gives slice r and receives all others.
  [[nodiscard]] virtual std::unique_ptr<Request> prepare_all_gather(void* buffer, std::size_t count, DType type) = 0;

  [[nodiscard]] virtual Traffic traffic(Collective kind) const noexcept = 0;

  /// To be called again and again while the host waits for the device, `waited` seconds so far. Throws
  /// Error(Requeue) where a rank or a link has failed, which the device itself would never find out.
  virtual void watch(double /*waited*/) {}
};

/// The ranks of the job. Its collectives work on host memory: each element is summed in a fixed order of the ranks,
/// 16-bit types in float and rounded after every rank, so the bits depend on the number of ranks and the buffer's size
/// only, and are equal on all ranks.
class Communicator : public Collectives {
 public:
  [[nodiscard]] virtual int rank() const noexcept = 0;
  /// Host name of every rank, known without communication.
  [[nodiscard]] virtual const std::vector<std::string>& hosts() const noexcept = 0;

  // Blocking, for set-up and between steps. They move collectives in flight as well.
  virtual void broadcast(std::span<std::byte> data, int root) = 0;
  /// `all` holds size() * mine.size() bytes: the pieces in rank order.
  virtual void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;
  /// The texts of all ranks in rank order on `root`, nothing elsewhere. Texts may differ in length.
  [[nodiscard]] virtual std::vector<std::string> gather(std::string_view text, int root) = 0;
  virtual void all_reduce(std::span<std::int64_t> values, Reduction reduction) = 0;
  virtual void all_reduce(std::span<double> values, Reduction reduction) = 0;
  virtual void barrier() = 0;

  // Collectives in one call.
  [[nodiscard]] std::unique_ptr<Request> start_all_reduce(void* buffer, std::size_t count, DType type);
  [[nodiscard]] std::unique_ptr<Request> start_reduce_scatter(void* buffer, std::size_t count, DType type);
  [[nodiscard]] std::unique_ptr<Request> start_all_gather(void* buffer, std::size_t count, DType type);

  [[nodiscard]] std::int64_t all_reduce_min(std::int64_t value);
  [[nodiscard]] std::int64_t all_reduce_max(std::int64_t value);
  [[nodiscard]] std::int64_t all_reduce_sum(std::int64_t value);
  [[nodiscard]] double all_reduce_min(double value);
  [[nodiscard]] double all_reduce_max(double value);
  [[nodiscard]] double all_reduce_sum(double value);
  /// `text` of rank `root`, on every rank.
  [[nodiscard]] std::string broadcast_text(std::string_view text, int root);
  /// The texts of all ranks in rank order, on every rank.
  [[nodiscard]] std::vector<std::string> all_gather_text(std::string_view text);
};

/// Sizes that tests make small; the defaults are right for everything else.
struct CommunicatorOptions {
  std::size_t chunk_bytes = std::size_t{1} << 30;    ///< longest single call of a blocking collective
  std::size_t segment_bytes = std::size_t{1} << 20;  ///< longest message of a ring
  std::size_t direct_bytes = 4096;                   ///< all-reduces up to this size go straight from each to each
};

/// The whole job as one communicator: without MPI when the process is alone, otherwise over MPI (started here if
/// it is not yet, and ended with the communicator that started it). Throws Error(NoDevice) when MPI cannot start
/// or disagrees with the launcher about the number of ranks.
[[nodiscard]] std::unique_ptr<Communicator> make_communicator(const Environment& environment,
                                                              const CommunicatorOptions& options = {});

/// Payload bytes that rank `rank` of `ranks` sends in one collective. `count` as given to prepare_*; with
/// n = bytes of the buffer and R ranks, summed over the ranks:
///   all-reduce      2 n      as a ring; R n when n <= direct_bytes
///   reduce-scatter    n
///   all-gather        n
[[nodiscard]] std::uint64_t sent_bytes(Collective kind, std::size_t count, DType type, int rank, int ranks,
                                       const CommunicatorOptions& options = {});

}  // namespace ldmpi::comm
