// Launcher discovery from made-up environments, and the command line of the own mpirun.

#include "comm/environment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/check.h"
#include "comm/relaunch.h"

namespace ldmpi::comm {
namespace {

using Variables = std::map<std::string, std::string>;

Environment discover(const Variables& variables) {
  return discover_environment(
      [&](const char* name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
      },
      "node7");
}

template <typename F>
void expect_error(Exit code, const std::vector<std::string>& words, F&& f) {
  try {
    f();
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code);
    for (const auto& word : words) EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << e.what();
  }
}

TEST(Environment, AloneOnABareMachine) {
  const Environment e = discover({});
  EXPECT_EQ(e.launcher, Launcher::Alone);
  EXPECT_EQ(e.rank, 0);
  EXPECT_EQ(e.ranks, 1);
  EXPECT_EQ(e.host, "node7");
  EXPECT_EQ(e.job_id, "");
  EXPECT_FALSE(e.job_end_seconds.has_value());
  EXPECT_FALSE(e.relaunched);
}

TEST(Environment, Mpirun) {
  const Environment e = discover({{"OMPI_COMM_WORLD_RANK", "5"},
                                  {"OMPI_COMM_WORLD_SIZE", "8"},
                                  {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                                  {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                                  {"CUDA_VISIBLE_DEVICES", "0,3"},
                                  {"OMP_NUM_THREADS", "6"},
                                  {kRelaunchedVariable, "1"}});
  EXPECT_EQ(e.launcher, Launcher::Mpirun);
  EXPECT_EQ(e.rank, 5);
  EXPECT_EQ(e.ranks, 8);
  EXPECT_EQ(e.local_rank, 1);
  EXPECT_EQ(e.local_ranks, 4);
  EXPECT_EQ(e.visible_devices, "0,3");
  EXPECT_EQ(e.threads, 6);
  EXPECT_TRUE(e.relaunched);
}

TEST(Environment, MpirunInsideABatchJobIsMpirun) {
  const Environment e = discover({{"OMPI_COMM_WORLD_RANK", "0"},
                                  {"OMPI_COMM_WORLD_SIZE", "2"},
                                  {"OMPI_COMM_WORLD_LOCAL_RANK", "0"},
                                  {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                                  {"SLURM_JOB_ID", "17"},
                                  {"SLURM_STEP_NUM_TASKS", "4"},
                                  {"SLURM_PROCID", "3"},
                                  {"SLURM_RESTART_COUNT", "2"},
                                  {"SLURM_JOB_END_TIME", "1700000000"}});
  EXPECT_EQ(e.launcher, Launcher::Mpirun);
  EXPECT_EQ(e.ranks, 2);
  EXPECT_EQ(e.job_id, "17");
  EXPECT_EQ(e.restart_count, 2);
  EXPECT_EQ(e.job_end_seconds, 1700000000);
}

TEST(Environment, SrunWithPmix) {
  Variables v{{"SLURM_STEP_NUM_TASKS", "6"},
              {"SLURM_PROCID", "5"},
              {"SLURM_LOCALID", "0"},
              {"SLURM_NODEID", "3"},
              {"SLURM_STEP_TASKS_PER_NODE", "2(x2),1(x2)"},
              {"PMIX_RANK", "5"}};
  const Environment last = discover(v);
  EXPECT_EQ(last.launcher, Launcher::Srun);
  EXPECT_EQ(last.rank, 5);
  EXPECT_EQ(last.ranks, 6);
  EXPECT_EQ(last.local_ranks, 1);
  v["SLURM_NODEID"] = "1";
  v["SLURM_PROCID"] = "3";
  v["SLURM_LOCALID"] = "1";
  EXPECT_EQ(discover(v).local_ranks, 2);
  EXPECT_EQ(discover(v).local_rank, 1);
}

TEST(Environment, BatchScriptAndOneTaskStepsAreAlone) {
  EXPECT_EQ(discover({{"SLURM_JOB_ID", "17"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}).launcher, Launcher::Alone);
  const Environment step = discover({{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_STEP_ID", "3"}, {"PMIX_RANK", "0"}});
  EXPECT_EQ(step.launcher, Launcher::Alone);
  EXPECT_TRUE(step.single_task);
  const Environment salloc_shell = discover({{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_STEP_ID", "4294967290"}});
  EXPECT_EQ(salloc_shell.launcher, Launcher::Alone);
  EXPECT_FALSE(salloc_shell.single_task);
}

TEST(Environment, LaunchersThatCannotBeJoinedAreRefused) {
  expect_error(Exit::NoDevice, {"--mpi=pmix", "4 tasks"}, [] {
    (void)discover({{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "1"}, {"SLURM_LOCALID", "1"}});
  });
  expect_error(Exit::NoDevice, {"Open MPI"}, [] { (void)discover({{"PMI_SIZE", "4"}, {"PMI_RANK", "1"}}); });
  expect_error(Exit::NoDevice, {"OMPI_COMM_WORLD_SIZE"}, [] { (void)discover({{"OMPI_COMM_WORLD_RANK", "1"}}); });
  expect_error(Exit::NoDevice, {"OMPI_COMM_WORLD_SIZE", "many"}, [] {
    (void)discover({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "many"}});
  });
  expect_error(Exit::NoDevice, {"rank 4 of 4"}, [] {
    (void)discover({{"OMPI_COMM_WORLD_RANK", "4"},
                    {"OMPI_COMM_WORLD_SIZE", "4"},
                    {"OMPI_COMM_WORLD_LOCAL_RANK", "0"},
                    {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}});
  });
}

TEST(Relaunch, CommandLine) {
  const char* const arguments[] = {"train", "--num_gpus=4", "--prompt", "two words"};
  const auto command = mpirun_command(Environment{}, 4, "/opt/bin/ldmpi", arguments);
  const std::vector<std::string> expected{
      "mpirun", "-n",           "4",        "--bind-to", "none", "--oversubscribe", "/opt/bin/ldmpi",
      "train",  "--num_gpus=4", "--prompt", "two words"};
  EXPECT_EQ(command, expected);
  Environment in_step;
  in_step.single_task = true;
  const auto local = mpirun_command(in_step, 4, "/opt/bin/ldmpi", arguments);
  EXPECT_NE(std::find(local.begin(), local.end(), "^slurm"), local.end());
  EXPECT_LT(std::find(local.begin(), local.end(), "^slurm"), std::find(local.begin(), local.end(), "/opt/bin/ldmpi"));
}

TEST(Relaunch, NothingToDo) {
  relaunch_under_mpirun(Environment{}, 1, {});
  Environment inside;
  inside.launcher = Launcher::Mpirun;
  inside.ranks = 4;
  relaunch_under_mpirun(inside, 4, {});
}

TEST(Relaunch, RefusalsNameBothNumbers) {
  Environment inside;
  inside.launcher = Launcher::Srun;
  inside.ranks = 8;
  expect_error(Exit::BadConfig, {"num_gpus = 4", "8 ranks", "srun"}, [&] { relaunch_under_mpirun(inside, 4, {}); });
  expect_error(Exit::BadConfig, {"num_gpus = 1", "8 ranks"}, [&] { relaunch_under_mpirun(inside, 1, {}); });
  expect_error(Exit::BadConfig, {"num_gpus = 0"}, [] { relaunch_under_mpirun(Environment{}, 0, {}); });
  Environment again;
  again.relaunched = true;
  expect_error(Exit::NoDevice, {"Open MPI's mpirun"}, [&] { relaunch_under_mpirun(again, 2, {}); });
}

TEST(Relaunch, WithoutMpirunInPath) {
  const std::string path = getenv("PATH");
  setenv("PATH", "/nonexistent", 1);
  expect_error(Exit::NoDevice, {"mpirun", "openmpi-bin", "num_gpus = 2"},
               [] { relaunch_under_mpirun(Environment{}, 2, {}); });
  setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(getenv(kRelaunchedVariable), nullptr);
}

}  // namespace
}  // namespace ldmpi::comm
