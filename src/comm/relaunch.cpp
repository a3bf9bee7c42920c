#include "comm/relaunch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/check.h"
#include "base/log.h"

namespace ldmpi::comm {
namespace {

constexpr int kMpirunFailed = 1;  // mpirun's own code: ranks not started, or stopped by a signal to mpirun itself

/// The signals that the supervisor waits for: blocked while this lives, so that none is lost.
class WatchedSignals {
 public:
  WatchedSignals() {
    sigemptyset(&set_);
    for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGCHLD, SIGTSTP, SIGCONT}) sigaddset(&set_, signal);
    sigprocmask(SIG_BLOCK, &set_, &before_);
  }
  ~WatchedSignals() { restore(); }
  WatchedSignals(const WatchedSignals&) = delete;
  WatchedSignals& operator=(const WatchedSignals&) = delete;

  [[nodiscard]] const sigset_t& set() const noexcept { return set_; }
  void restore() const { sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

/// Becomes mpirun; returns the reason why not. In a process group of its own, so that Ctrl-C at a terminal reaches the
/// supervisor alone; such a group may not read from the terminal, and its messages must not stop it.
int become(std::vector<std::string>& command, pid_t supervisor, const WatchedSignals& signals) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != supervisor) _exit(static_cast<int>(Exit::Requeue));
  signal(SIGTTOU, SIG_IGN);
  signals.restore();
  setenv(kRelaunchedVariable, "1", 1);
  if (geteuid() == 0) {
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);
  std::vector<char*> pointers;
  for (auto& word : command) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execvp(pointers.front(), pointers.data());
  return errno;
}

/// Starts mpirun. Returns its process id, or throws Error(NoDevice).
pid_t start(std::vector<std::string>& command, int num_gpus, const WatchedSignals& signals) {
  int channel[2];  // closed by exec; else the reason comes through
  require(pipe2(channel, O_CLOEXEC) == 0, Exit::Internal, "no pipe: {}", std::strerror(errno));
  const pid_t supervisor = getpid();
  const pid_t mpirun = fork();
  if (mpirun == 0) {
    const int reason = become(command, supervisor, signals);
    (void)!write(channel[1], &reason, sizeof reason);
    _exit(kMpirunFailed);
  }
  close(channel[1]);
  int reason = mpirun < 0 ? errno : 0;
  if (mpirun > 0) (void)!read(channel[0], &reason, sizeof reason);
  close(channel[0]);
  if (reason == 0) return mpirun;
  if (mpirun > 0) waitpid(mpirun, nullptr, 0);
  fail(Exit::NoDevice,
       "num_gpus = {} needs Open MPI's mpirun, which cannot be started: {}. Put it in PATH (Debian: {})", num_gpus,
       std::strerror(reason), "apt-get install openmpi-bin; clusters: module load openmpi");
}

/// The exit code of the job: that of the ranks, or 128 + signal. `asked`: the signal that asked the job to stop, or 0.
int exit_code(int status, int asked) {
  if (WIFSIGNALED(status)) return 128 + (asked == SIGINT || asked == SIGTERM ? asked : WTERMSIG(status));
  const int code = WEXITSTATUS(status);
  const bool unready = asked != 0 && code == 128 + SIGUSR1;  // it came before a rank could take it
  if (code != kMpirunFailed && !unready) return code;
  if (asked != 0) return 128 + (asked == SIGINT ? SIGINT : SIGTERM);
  log::error("mpirun could not start the ranks, or was ended itself: see its message above");
  return static_cast<int>(Exit::NoDevice);
}

/// Waits for the end of the job and passes on what comes meanwhile. mpirun itself leaves the ranks a second behind TERM
/// and INT, too little to save: it gets USR1 instead, which it forwards. A second TERM or INT ends the job at once.
int supervise(pid_t mpirun, const WatchedSignals& signals) {
  int asked = 0;
  for (;;) {
    int status = 0;
    if (waitpid(mpirun, &status, WNOHANG) == mpirun) return exit_code(status, asked);
    int signal = 0;
    if (sigwait(&signals.set(), &signal) != 0) continue;
    const bool ends = signal == SIGTERM || signal == SIGINT;
    if (signal == SIGTSTP) {
      kill(mpirun, SIGTSTP);  // Ctrl-Z: mpirun passes it on, and so SIGCONT
      raise(SIGSTOP);
    } else if (signal == SIGCONT) {
      kill(mpirun, SIGCONT);
    } else if (ends && asked != 0) {
      asked = signal;
      kill(mpirun, SIGTERM);
    } else if (ends || signal == SIGUSR1 || signal == SIGUSR2) {
      asked = signal;
      kill(mpirun, SIGUSR1);
    }
  }
}

}  // namespace

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

  auto command = mpirun_command(environment, num_gpus, self.string(), arguments);
  log::flush();
  const WatchedSignals signals;
  const int code = supervise(start(command, num_gpus, signals), signals);
  log::flush();
  std::exit(code);
}

}  // namespace ldmpi::comm
