#pragma once
// Requests to stop that come as signals. The handlers only set flags, one per signal, because batch systems send
// several.

namespace ldmpi::comm {

/// Which signals have arrived since install_stop_signals. Under mpirun TERM leaves one second of life: no time to save.
struct StopRequest {
  bool user1 = false;      ///< SIGUSR1: save, then stop (exit 75)
  bool user2 = false;      ///< SIGUSR2: save, then stop (exit 75)
  bool terminate = false;  ///< SIGTERM (exit 143 if there is no time to save)
  bool interrupt = false;  ///< SIGINT (exit 130); the second one ends the process at once

  [[nodiscard]] bool any() const noexcept { return user1 || user2 || terminate || interrupt; }
};

/// Catches USR1, USR2, TERM and INT from now on, and clears the flags.
void install_stop_signals();

/// What has arrived so far; flags stay set.
[[nodiscard]] StopRequest pending_stop() noexcept;

}  // namespace ldmpi::comm
