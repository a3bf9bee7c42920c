#pragma once
// The collectives of the step over NCCL, bootstrapped by the ranks' communicator. Part of the CUDA plugin.

#include <memory>
#include <string>

#include "comm/communicator.h"

namespace ldmpi::comm {

struct NcclOptions {
  double connect_seconds = 300;  ///< for all ranks to meet
  double wait_seconds = 600;     ///< without the device coming to an end: a rank or a link is lost
  double abort_seconds = 10;     ///< for NCCL to give up; then the process ends with 75
  bool deterministic = false;    ///< one algorithm and protocol, so that sums have equal bits in every run
};

/// Enqueues collectives beside `stream` (a cudaStream_t of the current device): each begins when the work enqueued
/// before it is done, and only what is enqueued behind its wait() waits for it. Collective on `host`, which must outlive
/// it. Throws Error(NoDevice) on all ranks, with the versions of each, where they cannot meet.
[[nodiscard]] std::unique_ptr<Collectives> make_nccl_collectives(Communicator& host, void* stream,
                                                                 const NcclOptions& options = {});

/// "2.28.9"
[[nodiscard]] std::string nccl_version();

}  // namespace ldmpi::comm
