#pragma once
// What the tests that run on several ranks share.

#include "comm/communicator.h"
#include "comm/environment.h"

namespace ldmpi::test {

/// The communicator of the whole test program.
[[nodiscard]] comm::Communicator& ranks();
/// The same ranks with pieces so small that every call takes several chunks, segments and rounds.
inline constexpr comm::CommunicatorOptions kTiny{.chunk_bytes = 24, .segment_bytes = 64, .direct_bytes = 16};
[[nodiscard]] comm::Communicator& tiny();
[[nodiscard]] const comm::Environment& environment();

}  // namespace ldmpi::test
