#pragma once
// What this binary is: version and a build identity that a plugin must match exactly.

#include <string>

namespace ldmpi {

[[nodiscard]] std::string version();   ///< "0.1.0"
[[nodiscard]] std::string build_id();  ///< compiler, flags and version in one line; equal only for equal builds
/// Throws Error(NoDevice) if this CPU lacks the instruction set that the binary was compiled for.
void require_instruction_set();

}  // namespace ldmpi
