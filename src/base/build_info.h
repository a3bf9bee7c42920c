#pragma once
// What this binary is: version and a build identity that a plugin must match exactly.

#include <string>

namespace ldmpi {

[[nodiscard]] std::string version();  ///< "0.1.0"
/// Of the sources: the first digits of the git commit, with a + where files were changed; "unknown" outside a checkout.
[[nodiscard]] const char* commit() noexcept;
/// Version, commit, compiler and instruction set in one line; equal only for equal builds.
[[nodiscard]] std::string build_id();
/// Throws Error(NoDevice) if this CPU lacks the instruction set that the binary was compiled for.
void require_instruction_set();

}  // namespace ldmpi
