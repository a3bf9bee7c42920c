#pragma once
// How many cores a rank may take.

#include "comm/communicator.h"

namespace ldmpi::comm {

/// Cores that this process may run on, by its affinity and its control group; at least 1.
[[nodiscard]] int allotted_cores();

/// The share of this rank: cores that several ranks of a host may run on are divided by them; where the launcher has
/// bound each rank to its own, it has these. At least 1. Collective.
[[nodiscard]] int cores_of_rank(Communicator& communicator);

}  // namespace ldmpi::comm
