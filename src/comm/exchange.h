#pragma once
// The non-blocking collectives, made of messages only: rings for large buffers, straight messages for small ones.
// Own code instead of MPI's because sharded and unsharded reductions must sum in one and the same fixed order, in any
// type, in place, without allocating, and with a known number of bytes on the wire.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "comm/communicator.h"
#include "comm/transport.h"

namespace ldmpi::comm {

class Exchange {
 public:
  /// `transport` must outlive this, and this must outlive its requests.
  Exchange(Transport& transport, int rank, int ranks, const CommunicatorOptions& options);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// See Communicator::prepare_*; `count` is as there.
  [[nodiscard]] std::unique_ptr<Request> prepare(Collective kind, void* buffer, std::size_t count, DType type);

  /// Moves everything in flight as far as it goes without blocking; true if anything moved.
  bool progress();

  [[nodiscard]] Traffic traffic(Collective kind) const noexcept { return traffic_[static_cast<std::size_t>(kind)]; }

 private:
  friend class Flight;

  Transport& transport_;
  int rank_;
  int ranks_;
  CommunicatorOptions options_;
  std::array<Traffic, 3> traffic_{};
  std::vector<class Flight*> in_flight_;  // oldest first
  std::vector<int> free_tags_;            // reused in the same order on all ranks
  int tags_ = 0;
  std::vector<std::unique_ptr<std::byte[]>> scratch_;  // free scratch of reducing rings
  std::vector<std::unique_ptr<std::byte[]>> given_up_;
};

}  // namespace ldmpi::comm
