#pragma once
// `--num_gpus N`: the number of ranks, wherever the program was started.

#include <span>
#include <string>
#include <vector>

#include "comm/environment.h"

namespace ldmpi::comm {

/// Makes `num_gpus` the number of ranks. Returns where it already is. Outside a launcher and with num_gpus > 1 it runs
/// `mpirun -n num_gpus ... <this program> arguments` to its end and exits with the job's code, never returning.
/// `arguments` is argv without the program name. USR1, USR2, and the first TERM or INT, ask the ranks to save and end
/// (75); another TERM or INT ends them at once (143, 130). Throws Error(BadConfig) inside a launcher with another
/// number of ranks or for num_gpus < 1, Error(NoDevice) where mpirun is missing or is not Open MPI's.
void relaunch_under_mpirun(const Environment& environment, int num_gpus, std::span<const char* const> arguments);

/// The command line that relaunch_under_mpirun executes.
[[nodiscard]] std::vector<std::string> mpirun_command(const Environment& environment, int num_gpus,
                                                      const std::string& program,
                                                      std::span<const char* const> arguments);

}  // namespace ldmpi::comm
