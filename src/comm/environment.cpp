#include "comm/environment.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "base/check.h"
#include "base/log.h"

namespace ldmpi::comm {
namespace {

std::int64_t parse_number(std::string_view name, std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require(error == std::errc{} && end == text.data() + text.size() && value >= 0, Exit::NoDevice,
          "the launcher set {}='{}', which is not a number: start the job again from a clean shell", name, text);
  return value;
}

std::optional<std::int64_t> number(const Lookup& lookup, const char* name) {
  const auto text = lookup(name);
  if (!text || text->empty()) return std::nullopt;
  return parse_number(name, *text);
}

int required_number(const Lookup& lookup, const char* name) {
  const auto value = number(lookup, name);
  require(value.has_value(), Exit::NoDevice, "the launcher did not set {}: start with `mpirun -n N` of Open MPI", name);
  return static_cast<int>(*value);
}

/// Slurm's "2(x3),1": tasks of node `node`.
std::optional<int> tasks_of_node(std::string_view list, std::int64_t node) {
  const char* name = "SLURM_STEP_TASKS_PER_NODE";
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    const std::string_view item = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    const auto times = item.find("(x");
    const std::int64_t tasks = parse_number(name, item.substr(0, times));
    std::int64_t nodes = 1;
    if (times != std::string_view::npos) nodes = parse_number(name, item.substr(times + 2, item.find(')') - times - 2));
    if (node < nodes) return static_cast<int>(tasks);
    node -= nodes;
  }
  return std::nullopt;
}

void read_mpirun(const Lookup& lookup, Environment& environment) {
  environment.launcher = Launcher::Mpirun;
  environment.rank = required_number(lookup, "OMPI_COMM_WORLD_RANK");
  environment.ranks = required_number(lookup, "OMPI_COMM_WORLD_SIZE");
  environment.local_rank = required_number(lookup, "OMPI_COMM_WORLD_LOCAL_RANK");
  environment.local_ranks = required_number(lookup, "OMPI_COMM_WORLD_LOCAL_SIZE");
}

void read_srun(const Lookup& lookup, int tasks, Environment& environment) {
  require(lookup("PMIX_RANK").has_value(), Exit::NoDevice,
          "srun started {} tasks without PMIx, so they cannot find each other: use `srun --mpi=pmix`, or mpirun",
          tasks);
  environment.launcher = Launcher::Srun;
  environment.rank = required_number(lookup, "SLURM_PROCID");
  environment.ranks = tasks;
  environment.local_rank = required_number(lookup, "SLURM_LOCALID");
  environment.local_ranks =
      tasks_of_node(lookup("SLURM_STEP_TASKS_PER_NODE").value_or(""), number(lookup, "SLURM_NODEID").value_or(0))
          .value_or(environment.local_rank + 1);
}

/// True where the kernel has handed this process to init because its parent is gone.
bool is_orphan(pid_t parent) {
  if (parent > 1) return false;
  // In a container the launcher itself may be process 1.
  std::string name;
  std::ifstream("/proc/1/comm") >> name;
  for (const std::string_view launcher : {"mpirun", "mpiexec", "orterun", "orted", "prte", "prted", "slurmstepd"})
    if (name == launcher) return false;
  return true;
}

}  // namespace

Environment discover_environment() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host = {'?'};
  return discover_environment(
      [](const char* name) -> std::optional<std::string> {
        const char* value = std::getenv(name);
        if (value == nullptr) return std::nullopt;
        return value;
      },
      host.data());
}

Environment discover_environment(const Lookup& lookup, std::string host) {
  Environment environment;
  environment.host = std::move(host);
  for (const char* name : {"SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID"}) {
    if (const auto id = lookup(name); id && environment.job_id.empty()) environment.job_id = *id;
  }
  environment.restart_count = static_cast<int>(number(lookup, "SLURM_RESTART_COUNT").value_or(0));
  environment.job_end_seconds = number(lookup, "SLURM_JOB_END_TIME");
  environment.visible_devices = lookup("CUDA_VISIBLE_DEVICES");
  if (const auto threads = number(lookup, "OMP_NUM_THREADS"); threads && *threads >= 1)
    environment.threads = static_cast<int>(*threads);
  environment.relaunched = lookup(kRelaunchedVariable).has_value();

  // A batch script has SLURM_PROCID and SLURM_NTASKS too; only a step started by srun has SLURM_STEP_NUM_TASKS. A step
  // of one task counts as alone: it needs no MPI and may start its own mpirun.
  const auto step_tasks = number(lookup, "SLURM_STEP_NUM_TASKS");
  constexpr std::int64_t kFirstSpecialStep = 4294967000;  // the shell that salloc opens is such a step, without limits
  environment.single_task = step_tasks == 1 && number(lookup, "SLURM_STEP_ID").value_or(0) < kFirstSpecialStep;
  if (lookup("OMPI_COMM_WORLD_RANK")) {
    read_mpirun(lookup, environment);
  } else if (step_tasks && *step_tasks > 1) {
    read_srun(lookup, static_cast<int>(*step_tasks), environment);
  } else {
    require(number(lookup, "PMI_SIZE").value_or(1) <= 1 && number(lookup, "MPI_LOCALNRANKS").value_or(1) <= 1,
            Exit::NoDevice, "the mpirun that started this program is not Open MPI's, and this build is: use {}",
            "Open MPI's mpirun, or `srun --mpi=pmix`");
  }
  require(environment.rank < environment.ranks && environment.local_rank < environment.local_ranks, Exit::NoDevice,
          "the launcher's variables contradict each other (rank {} of {}, local rank {} of {}): start again from a "
          "clean shell",
          environment.rank, environment.ranks, environment.local_rank, environment.local_ranks);
  return environment;
}

const char* name_of(Launcher launcher) noexcept {
  switch (launcher) {
    case Launcher::Alone: return "alone";
    case Launcher::Mpirun: return "mpirun";
    case Launcher::Srun: return "srun";
  }
  return "?";
}

void die_with_launcher(const Environment& environment) {
  if (environment.launcher == Launcher::Alone) return;
  const pid_t parent = getppid();
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before the kernel was asked to watch it.
  if (getppid() != parent || is_orphan(parent)) {
    log::error("the {} that started this rank is gone", name_of(environment.launcher));
    log::flush();
    _exit(static_cast<int>(Exit::Requeue));
  }
}

}  // namespace ldmpi::comm
