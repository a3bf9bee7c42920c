#pragma once
// Messages between two ranks, as the rings of exchange.h need them. MPI implements it; tests do too.

#include <cstddef>

namespace ldmpi::comm {

class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  /// Start a message; the bytes stay in use until done(handle). Messages between two ranks with one tag keep their
  /// order.
  [[nodiscard]] virtual int send(int peer, int tag, const std::byte* bytes, std::size_t size) = 0;
  [[nodiscard]] virtual int receive(int peer, int tag, std::byte* bytes, std::size_t size) = 0;
  /// True once the message is complete; the handle is gone then.
  [[nodiscard]] virtual bool done(int handle) = 0;
  /// Gives a message up that may never complete. The handle is gone; the bytes may still be touched until the job ends.
  virtual void abandon(int handle) = 0;
};

}  // namespace ldmpi::comm
