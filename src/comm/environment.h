#pragma once
// Who started this process, and as which rank: read from the environment, without MPI.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace ldmpi::comm {

enum class Launcher { Alone, Mpirun, Srun };

struct Environment {
  Launcher launcher = Launcher::Alone;
  int rank = 0;
  int ranks = 1;
  int local_rank = 0;   ///< index among the ranks of this host
  int local_ranks = 1;  ///< ranks on this host
  std::string host;
  std::string job_id;                           ///< of the batch system; empty outside one
  int restart_count = 0;                        ///< how often the batch system has requeued this job
  std::optional<std::int64_t> job_end_seconds;  ///< when the batch system ends the job, in seconds since 1970
  std::optional<std::string> visible_devices;   ///< CUDA_VISIBLE_DEVICES as set by the user or the batch system
  std::optional<int> threads;                   ///< OMP_NUM_THREADS: threads of a rank, where the user says so
  bool single_task = false;  ///< alone in a step of srun: an own mpirun cannot use the other hosts of the job
  bool relaunched = false;   ///< this program has started its own mpirun already
};

/// Set by relaunch_under_mpirun (relaunch.h) for the ranks that it starts. Not an option, hence no LDMPI_ in front.
inline constexpr const char* kRelaunchedVariable = "_LDMPI_RELAUNCHED";

/// Value of an environment variable, nothing if unset.
using Lookup = std::function<std::optional<std::string>(const char* name)>;

/// The environment of this process. Throws Error(NoDevice) where a launcher is there that this program cannot join:
/// srun without PMIx, or an mpirun that is not Open MPI's.
[[nodiscard]] Environment discover_environment();
/// The same from any source of variables.
[[nodiscard]] Environment discover_environment(const Lookup& lookup, std::string host);

/// "alone", "mpirun", "srun"
[[nodiscard]] const char* name_of(Launcher launcher) noexcept;

/// Ranks end with their launcher: asks the kernel to kill this process when its parent dies, and ends it at once
/// (exit 75) if the parent is gone already. Nothing when alone.
void die_with_launcher(const Environment& environment);

}  // namespace ldmpi::comm
