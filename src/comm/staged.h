#pragma once
// The collectives of the step for buffers in device memory, carried over the host: for ranks that share a GPU, and where
// NCCL cannot work.

#include <memory>

#include "backend/kernel.h"
#include "comm/communicator.h"

namespace ldmpi::comm {

/// Each collective copies its buffer to the host, runs over `host` and copies the result back. Both must outlive it.
[[nodiscard]] std::unique_ptr<Collectives> make_staged_collectives(Communicator& host, backend::Device& device);

}  // namespace ldmpi::comm
