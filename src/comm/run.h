#pragma once
// The life of a rank: from the launcher to the exit code, whatever happens in between.

#include <functional>

#include "comm/communicator.h"
#include "comm/environment.h"

namespace ldmpi::comm {

/// Body of main: makes the communicator, tells the log its rank, runs `body` and returns the exit code of the process.
/// Exceptions become exit codes. AgreedError (agree.h) ends all ranks in order; any other exception of one rank of
/// several ends the whole job through end_all_ranks, so `body` may leave the others inside a collective.
[[nodiscard]] int run_ranks(const Environment& environment, const std::function<int(Communicator&)>& body);

/// Ends every rank of the job at once, with `code` as mpirun's exit code; destructors do not run. Callable from the
/// main thread.
[[noreturn]] void end_all_ranks(int code);

}  // namespace ldmpi::comm
