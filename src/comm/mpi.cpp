#include "comm/mpi.h"

#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "comm/exchange.h"
#include "comm/patience.h"
#include "comm/run.h"

namespace ldmpi::comm {
namespace {

void check(int result, const char* what) {
  if (result == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(result, text, &length);
  fail(Exit::IoError,
       "communication between the ranks failed in {}: {}. Another rank or host may have died; look for "
       "the first error above, then start the same command again",
       what, text);
}

bool is_running() {
  int started = 0;
  int ended = 0;
  MPI_Initialized(&started);
  MPI_Finalized(&ended);
  return started != 0 && ended == 0;
}

/// A duplicate of MPI_COMM_WORLD: messages in it never meet those of another one. Errors return instead of aborting.
class Space {
 public:
  Space() {
    check(MPI_Comm_dup(MPI_COMM_WORLD, &comm_), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  }
  ~Space() { MPI_Comm_free(&comm_); }
  Space(const Space&) = delete;
  Space& operator=(const Space&) = delete;
  [[nodiscard]] MPI_Comm get() const { return comm_; }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
};

class MpiTransport final : public Transport {
 public:
  MpiTransport() {
    // Room for all messages that are ever under way at once, so that a step does not allocate.
    requests_.reserve(kMessages);
    free_.reserve(kMessages);
  }
  int send(int peer, int tag, const std::byte* bytes, std::size_t size) override {
    const int handle = take();
    check(MPI_Isend(bytes, static_cast<int>(size), MPI_BYTE, peer, tag, space_.get(), &request(handle)), "MPI_Isend");
    return handle;
  }
  int receive(int peer, int tag, std::byte* bytes, std::size_t size) override {
    const int handle = take();
    check(MPI_Irecv(bytes, static_cast<int>(size), MPI_BYTE, peer, tag, space_.get(), &request(handle)), "MPI_Irecv");
    return handle;
  }
  bool done(int handle) override {
    int flag = 0;
    check(MPI_Test(&request(handle), &flag, MPI_STATUS_IGNORE), "MPI_Test");
    if (flag != 0) free_.push_back(handle);
    return flag != 0;
  }
  void abandon(int handle) override {
    MPI_Cancel(&request(handle));
    MPI_Request_free(&request(handle));
    free_.push_back(handle);
  }

 private:
  int take() {
    if (free_.empty()) {
      free_.push_back(static_cast<int>(requests_.size()));
      requests_.push_back(MPI_REQUEST_NULL);
    }
    const int handle = free_.back();
    free_.pop_back();
    return handle;
  }
  MPI_Request& request(int handle) { return requests_[static_cast<std::size_t>(handle)]; }

  static constexpr std::size_t kMessages = 8192;
  Space space_;
  std::vector<MPI_Request> requests_;
  std::vector<int> free_;
};

MPI_Op op_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::Min: return MPI_MIN;
    case Reduction::Max: return MPI_MAX;
    case Reduction::Sum: return MPI_SUM;
  }
  return MPI_OP_NULL;
}

/// Calls f(offset, count) for pieces of at most `limit` until `total` is covered.
template <typename F>
void in_pieces(std::size_t total, std::size_t limit, F&& f) {
  for (std::size_t offset = 0; offset < total; offset += limit)
    f(offset, static_cast<int>(std::min(limit, total - offset)));
}

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(const Environment& environment, const CommunicatorOptions& options)
      : chunk_(std::clamp<std::size_t>(options.chunk_bytes, sizeof(double), INT_MAX)),
        rank_(rank_in(space_.get(), environment)),
        size_(size_in(space_.get())),
        exchange_(transport_, rank_, size_, options) {
    hosts_ = all_gather_text(environment.host);
  }

  int rank() const noexcept override { return rank_; }
  int size() const noexcept override { return size_; }
  const std::vector<std::string>& hosts() const noexcept override { return hosts_; }

  void broadcast(std::span<std::byte> data, int root) override {
    in_pieces(data.size(), chunk_, [&](std::size_t offset, int count) {
      finish("MPI_Ibcast", [&](MPI_Request* request) {
        return MPI_Ibcast(data.data() + offset, count, MPI_BYTE, root, space_.get(), request);
      });
    });
  }

  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    const std::size_t n = mine.size();
    LDMPI_CHECK(all.size() == n * static_cast<std::size_t>(size_), "all_gather of {} bytes into {}", n, all.size());
    if (n <= chunk_) {
      finish("MPI_Iallgather", [&](MPI_Request* request) {
        return MPI_Iallgather(mine.data(), static_cast<int>(n), MPI_BYTE, all.data(), static_cast<int>(n), MPI_BYTE,
                              space_.get(), request);
      });
      return;
    }
    std::copy(mine.begin(), mine.end(), all.begin() + static_cast<std::ptrdiff_t>(n) * rank_);
    for (int root = 0; root < size_; ++root) broadcast(all.subspan(n * static_cast<std::size_t>(root), n), root);
  }

  std::vector<std::string> gather(std::string_view text, int root) override {
    const auto mine = static_cast<std::uint64_t>(text.size());
    std::vector<std::uint64_t> sizes(static_cast<std::size_t>(size_));
    all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(sizes)));
    if (rank_ != root) {
      in_pieces(text.size(), chunk_, [&](std::size_t offset, int count) {
        finish("MPI_Isend", [&](MPI_Request* request) {
          return MPI_Isend(text.data() + offset, count, MPI_BYTE, root, 0, space_.get(), request);
        });
      });
      return {};
    }
    std::vector<std::string> texts(sizes.size());
    texts[static_cast<std::size_t>(root)] = text;
    for (int peer = 0; peer < size_; ++peer) {
      if (peer == root) continue;
      std::string& into = texts[static_cast<std::size_t>(peer)];
      into.resize(sizes[static_cast<std::size_t>(peer)]);
      in_pieces(into.size(), chunk_, [&](std::size_t offset, int count) {
        finish("MPI_Irecv", [&](MPI_Request* request) {
          return MPI_Irecv(into.data() + offset, count, MPI_BYTE, peer, 0, space_.get(), request);
        });
      });
    }
    return texts;
  }

  void all_reduce(std::span<std::int64_t> values, Reduction reduction) override {
    reduce(values, MPI_INT64_T, reduction);
  }
  void all_reduce(std::span<double> values, Reduction reduction) override { reduce(values, MPI_DOUBLE, reduction); }

  void barrier() override {
    finish("MPI_Ibarrier", [&](MPI_Request* request) { return MPI_Ibarrier(space_.get(), request); });
  }

  std::unique_ptr<Request> prepare_all_reduce(void* buffer, std::size_t count, DType type) override {
    return exchange_.prepare(Collective::AllReduce, buffer, count, type);
  }
  std::unique_ptr<Request> prepare_reduce_scatter(void* buffer, std::size_t count, DType type) override {
    return exchange_.prepare(Collective::ReduceScatter, buffer, count, type);
  }
  std::unique_ptr<Request> prepare_all_gather(void* buffer, std::size_t count, DType type) override {
    return exchange_.prepare(Collective::AllGather, buffer, count, type);
  }
  Traffic traffic(Collective kind) const noexcept override { return exchange_.traffic(kind); }

 private:
  static int size_in(MPI_Comm comm) {
    int size = 0;
    check(MPI_Comm_size(comm, &size), "MPI_Comm_size");
    return size;
  }
  static int rank_in(MPI_Comm comm, const Environment& environment) {
    int rank = 0;
    check(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
    require(rank == environment.rank && size_in(comm) == environment.ranks, Exit::NoDevice,
            "{} started rank {} of {}, but MPI says rank {} of {}: the program is linked with another MPI than the "
            "launcher's. Use the Open MPI that it was built with",
            name_of(environment.launcher), environment.rank, environment.ranks, rank, size_in(comm));
    return rank;
  }

  template <typename T>
  void reduce(std::span<T> values, MPI_Datatype type, Reduction reduction) {
    in_pieces(values.size(), chunk_ / sizeof(T), [&](std::size_t offset, int count) {
      finish("MPI_Iallreduce", [&](MPI_Request* request) {
        return MPI_Iallreduce(MPI_IN_PLACE, values.data() + offset, count, type, op_of(reduction), space_.get(),
                              request);
      });
    });
  }

  /// Starts an operation and waits for it. The collectives in flight move on meanwhile: another rank may need them to
  /// get here.
  template <typename F>
  void finish(const char* what, F&& start) {
    MPI_Request request = MPI_REQUEST_NULL;
    check(start(&request), what);
    Patience patience;
    for (;;) {
      int flag = 0;
      check(MPI_Test(&request, &flag, MPI_STATUS_IGNORE), what);
      if (flag != 0) return;
      patience.look(exchange_.progress());
    }
  }

  MpiSession session_;
  Space space_;  // of the blocking calls
  std::size_t chunk_;
  int rank_;
  int size_;
  MpiTransport transport_;
  Exchange exchange_;
  std::vector<std::string> hosts_;
};

}  // namespace

MpiSession::MpiSession() {
  if (is_running()) return;
  int provided = MPI_THREAD_SINGLE;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  owner_ = true;
  require(provided >= MPI_THREAD_FUNNELED, Exit::NoDevice,
          "this MPI library allows no threads at all (MPI_THREAD_FUNNELED): use an Open MPI built with threads");
}

MpiSession::~MpiSession() {
  if (owner_) MPI_Finalize();
}

std::unique_ptr<Communicator> make_mpi_communicator(const Environment& environment,
                                                    const CommunicatorOptions& options) {
  return std::make_unique<MpiCommunicator>(environment, options);
}

void end_all_ranks(int code) {
  log::flush();
  std::fflush(nullptr);
  if (is_running()) {
    // An abort that hangs must not keep this rank alive; its death makes the launcher end the others.
    std::thread([code] {
      std::this_thread::sleep_for(std::chrono::seconds(3));
      _exit(code);
    }).detach();
    MPI_Abort(MPI_COMM_WORLD, code);
  }
  _exit(code);
}

}  // namespace ldmpi::comm
