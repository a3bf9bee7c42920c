// How jobs of several ranks end: mpirun's exit code, what stands on stderr, how long it takes, and that nothing stays.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"

namespace {

using ldmpi::Clock;
using ldmpi::seconds_since;

struct End {
  int code = -1;  // exit code, 128 + signal, or -1 after the time limit
  double seconds = 0;
  std::string output;  // stdout and stderr
};

/// Runs a command, all output into a file; `meanwhile` sees the process id and the output so far until it returns true.
End run(const std::vector<std::string>& command, const std::function<bool(pid_t, const std::string&)>& meanwhile = {}) {
  char name[] = "/tmp/ldmpi_job_end_XXXXXX";
  const int file = mkstemp(name);
  const auto output = [&] {
    std::ostringstream text;
    text << std::ifstream(name).rdbuf();
    return text.str();
  };
  const auto start = Clock::now();
  const pid_t child = fork();
  if (child == 0) {
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(file, 1);
    dup2(file, 2);
    std::vector<char*> words;
    for (const auto& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    execvp(words[0], words.data());
    _exit(127);
  }
  End end;
  int status = 0;
  bool told = !meanwhile;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (!told) told = meanwhile(child, output());
    if (seconds_since(start) > 30) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  end.seconds = seconds_since(start);
  end.output = output();
  end.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  close(file);
  std::filesystem::remove(name);
  return end;
}

std::vector<std::string> mpirun(int ranks, const std::string& mode) {
  return {"mpirun", "--oversubscribe", "--bind-to", "none", "-n", std::to_string(ranks), LDMPI_RANK_CHILD, mode};
}

bool has(const End& end, const std::string& words) {
  return end.output.find(words) != std::string::npos;
}

/// Start-up included; the bound of the contract is 5 s after the failure.
constexpr double kLimitSeconds = 5;

struct Row {
  std::string mode;
  int code;
  std::string words;
};

class JobEnd : public testing::TestWithParam<Row> {};

TEST_P(JobEnd, CodeWordsAndTime) {
  for (const int ranks : {2, 4}) {
    const End end = run(mpirun(ranks, GetParam().mode));
    EXPECT_EQ(end.code, GetParam().code) << end.output;
    EXPECT_TRUE(has(end, GetParam().words)) << end.output;
    EXPECT_LT(end.seconds, kLimitSeconds) << end.output;
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, JobEnd,
                         testing::Values(Row{"throw", 65, "rank 1: error: on "}, Row{"busy", 65, "shard 3 is damaged"},
                                         Row{"in_flight", 76, "loss is not finite"},
                                         Row{"unknown", 70, "unexpected error"}, Row{"kill", 137, "signal 9"},
                                         Row{"thread", 74, "disk full"}, Row{"agreed", 66, "rank 1 on "},
                                         Row{"requeue", 75, ""}),
                         [](const auto& test) { return test.param.mode; });

TEST(JobEnd, AgreedFailureIsSaidOnceByRankZero) {
  const End end = run(mpirun(4, "agreed"));
  EXPECT_TRUE(has(end, "error: rank 1 on ")) << end.output;
  EXPECT_FALSE(has(end, "rank 0: error")) << end.output;
  const std::string words = "no such shard";
  EXPECT_EQ(end.output.find(words), end.output.rfind(words)) << end.output;
  EXPECT_FALSE(has(end, "MPI_ABORT")) << end.output;
}

TEST(JobEnd, UserSignalToMpirunReachesAllRanks) {
  const End end = run(mpirun(2, "signal"), [](pid_t pid, const std::string& output) {
    if (output.find("ready") == std::string::npos) return false;
    kill(pid, SIGUSR1);
    return true;
  });
  EXPECT_EQ(end.code, 75) << end.output;
}

bool alive(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string id;
  std::string name;
  std::string state;
  return (file >> id >> name >> state) && state != "Z";
}

TEST(JobEnd, RanksDieWithTheirLauncher) {
  std::vector<int> pids;
  (void)run(mpirun(2, "sleep"), [&](pid_t pid, const std::string& output) {
    static const std::regex pattern("pid ([0-9]+)");
    pids.clear();
    for (std::sregex_iterator it(output.begin(), output.end(), pattern), last; it != last; ++it)
      pids.push_back(std::stoi((*it)[1]));
    if (pids.size() < 2) return false;
    kill(pid, SIGKILL);
    return true;
  });
  ASSERT_EQ(pids.size(), 2U);
  const auto start = Clock::now();
  while ((alive(pids[0]) || alive(pids[1])) && seconds_since(start) < 5)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_LT(seconds_since(start), 2);
}

TEST(OwnMpirun, StartsTheAskedNumberOfRanks) {
  unsetenv("OMPI_ALLOW_RUN_AS_ROOT");
  unsetenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM");
  const End end = run({LDMPI_RANK_CHILD, "ranks", "3"});
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  EXPECT_EQ(end.code, 0) << end.output;
  EXPECT_EQ(end.output, "rank 0 of 3\nrank 1 of 3\nrank 2 of 3\n");
}

TEST(OwnMpirun, ExitCodesComeThrough) {
  const End end = run({LDMPI_RANK_CHILD, "throw", "2"});
  EXPECT_EQ(end.code, 65) << end.output;
  EXPECT_TRUE(has(end, "shard 3 is damaged")) << end.output;
}

/// The program's own mpirun with ranks that end in order when USR1 reaches them; sends the signals one after another.
End stopped_by(const std::string& mode, const std::vector<int>& signals) {
  return run({LDMPI_RANK_CHILD, mode, "2"}, [&](pid_t pid, const std::string& output) {
    if (output.find("ready") == std::string::npos) return false;
    for (const int signal : signals) {
      kill(pid, signal);
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return true;
  });
}

TEST(OwnMpirun, EverySignalThatAsksToStopLeavesTimeToSave) {
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT}) {
    const End end = stopped_by("signal", {signal});
    EXPECT_EQ(end.code, 75) << signal << ": " << end.output;
  }
}

TEST(OwnMpirun, TheSecondOneEndsTheJobAtOnce) {
  const End interrupted = stopped_by("deaf", {SIGINT, SIGINT});
  EXPECT_EQ(interrupted.code, 130) << interrupted.output;
  EXPECT_LT(interrupted.seconds, kLimitSeconds) << interrupted.output;
  const End terminated = stopped_by("deaf", {SIGUSR1, SIGTERM});
  EXPECT_EQ(terminated.code, 143) << terminated.output;
  EXPECT_LT(terminated.seconds, kLimitSeconds) << terminated.output;
}

TEST(OwnMpirun, ALostRankIsSeenInTheCode) {
  EXPECT_EQ(run({LDMPI_RANK_CHILD, "kill", "2"}).code, 137);
}

TEST(OwnMpirun, ItsOwnFailureIsNoOne) {
  setenv("OMPI_MCA_orte_base_help_aggregate", "0", 1);
  setenv("OMPI_MCA_plm", "no_such_launcher", 1);
  const End end = run({LDMPI_RANK_CHILD, "ranks", "2"});
  unsetenv("OMPI_MCA_plm");
  EXPECT_EQ(end.code, 69) << end.output;
  EXPECT_TRUE(has(end, "mpirun could not start the ranks")) << end.output;
}

TEST(OwnMpirun, AnotherNumberInsideALauncherIsRefused) {
  auto command = mpirun(2, "ranks");
  command.push_back("3");
  const End end = run(command);
  EXPECT_EQ(end.code, 78) << end.output;
  EXPECT_TRUE(has(end, "num_gpus = 3 but mpirun has started 2 ranks")) << end.output;
}

TEST(OwnMpirun, AloneTheProgramNeedsNoMpi) {
  // A first run warms the file cache; MPI_Init alone takes some 0.3 s.
  (void)run({LDMPI_RANK_CHILD, "ranks", "1"});
  double best = 1;
  for (int i = 0; i < 5; ++i) {
    const End end = run({LDMPI_RANK_CHILD, "ranks"});
    EXPECT_EQ(end.output, "rank 0 of 1\n");
    best = std::min(best, end.seconds);
  }
  EXPECT_LT(best, 0.15);
}

}  // namespace
