#include "comm/relaunch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/check.h"
#include "base/log.h"

namespace ldmpi::comm {

std::vector<std::string> mpirun_command(const Environment& environment, int num_gpus, const std::string& program,
                                        std::span<const char* const> arguments) {
  // --bind-to none: OpenMP's threads share the cores of the host. --oversubscribe: mpirun counts cores or batch tasks,
  // which says nothing about GPUs; it changes nothing while there are enough of them.
  std::vector<std::string> command{"mpirun", "-n", std::to_string(num_gpus), "--bind-to", "none", "--oversubscribe"};
  // Inside a step mpirun would wait forever for a step of its own, so it is kept from asking Slurm.
  if (environment.single_task) command.insert(command.end(), {"--mca", "plm", "isolated", "--mca", "ras", "^slurm"});
  command.push_back(program);
  command.insert(command.end(), arguments.begin(), arguments.end());
  return command;
}

void relaunch_under_mpirun(const Environment& environment, int num_gpus, std::span<const char* const> arguments) {
  require(num_gpus >= 1, Exit::BadConfig, "num_gpus = {} must be at least 1: it is the total number of ranks",
          num_gpus);
  if (environment.launcher != Launcher::Alone) {
    require(num_gpus == environment.ranks, Exit::BadConfig,
            "num_gpus = {} but {} has started {} ranks: leave num_gpus out, or start {} ranks", num_gpus,
            name_of(environment.launcher), environment.ranks, num_gpus);
    return;
  }
  if (num_gpus == 1) return;
  require(!environment.relaunched, Exit::NoDevice,
          "the mpirun in PATH does not start ranks that Open MPI can join: put Open MPI's mpirun first in PATH "
          "(Debian: apt-get install openmpi-bin)");

  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  require(!error, Exit::Internal, "cannot find this program's own file: {}", error.message());

  setenv(kRelaunchedVariable, "1", 1);
  if (geteuid() == 0) {
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
  auto command = mpirun_command(environment, num_gpus, self.string(), arguments);
  std::vector<char*> pointers;
  for (auto& word : command) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  log::flush();
  execvp(pointers.front(), pointers.data());
  const int reason = errno;
  unsetenv(kRelaunchedVariable);
  fail(Exit::NoDevice,
       "num_gpus = {} needs Open MPI's mpirun, which cannot be started: {}. Put it in PATH (Debian: {})", num_gpus,
       std::strerror(reason), "apt-get install openmpi-bin; clusters: module load openmpi");
}

}  // namespace ldmpi::comm
