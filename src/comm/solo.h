#pragma once
// One rank: the communicator of a program that is alone. Calls no MPI.

#include <memory>

#include "comm/communicator.h"
#include "comm/environment.h"

namespace ldmpi::comm {

[[nodiscard]] std::unique_ptr<Communicator> make_solo_communicator(const Environment& environment);

}  // namespace ldmpi::comm
