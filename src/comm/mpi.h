#pragma once
// The ranks over MPI. MPI itself stays inside mpi.cpp.

#include <memory>

#include "comm/communicator.h"
#include "comm/environment.h"

namespace ldmpi::comm {

/// MPI's life in this process: starts it unless somebody has, and ends it again if it did. Calls from the main thread
/// only (MPI_THREAD_FUNNELED).
class MpiSession {
 public:
  MpiSession();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

 private:
  bool owner_ = false;
};

/// All ranks of the job (MPI_COMM_WORLD), in a message space of its own.
[[nodiscard]] std::unique_ptr<Communicator> make_mpi_communicator(const Environment& environment,
                                                                  const CommunicatorOptions& options);

}  // namespace ldmpi::comm
