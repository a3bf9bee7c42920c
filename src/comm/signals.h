#pragma once
// Requests to stop that come as signals. The handlers only set flags, one per signal, because batch systems send
// several.

namespace ldmpi::comm {

/// Which signals have arrived since install_stop_signals. Each asks to finish the step, save, and end with 75. A user's
/// own mpirun leaves only a second of life behind TERM and INT; the program's own passes them on as USR1 (relaunch.h).
struct StopRequest {
  bool user1 = false;
  bool user2 = false;
  bool terminate = false;
  bool interrupt = false;  ///< the second SIGINT ends the process at once (exit 130)

  [[nodiscard]] bool any() const noexcept { return user1 || user2 || terminate || interrupt; }
};

/// Catches USR1, USR2, TERM and INT from now on, and clears the flags.
void install_stop_signals();

/// What has arrived so far; flags stay set.
[[nodiscard]] StopRequest pending_stop() noexcept;

/// Throws Error(Requeue) if a stop has been asked for: between the phases of a start and in its waiting loops, where
/// nothing is there to be saved yet.
void end_if_asked_to_stop();

}  // namespace ldmpi::comm
