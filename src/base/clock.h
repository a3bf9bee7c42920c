#pragma once
// Time: the monotonic clock for intervals, the wall clock only for what people read.

#include <chrono>

namespace ldmpi {

using Clock = std::chrono::steady_clock;

/// Seconds since `start` on the monotonic clock.
[[nodiscard]] inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Seconds since 1970, for files that people and other programs read.
[[nodiscard]] inline double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace ldmpi
