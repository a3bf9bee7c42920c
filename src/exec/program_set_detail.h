#pragma once
// Shared by the two halves of ProgramSet.

#include "ir/op.h"

namespace ldmpi::exec {

/// Whether a node runs a backend kernel; the others are sources, aliases, collectives and marks.
[[nodiscard]] bool needs_kernel(const ir::Op& op);

}  // namespace ldmpi::exec
