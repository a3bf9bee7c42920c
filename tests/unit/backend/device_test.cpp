#include <gtest/gtest.h>
#include <omp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "backend/cpu/weight_layout.h"
#include "base/check.h"
#include "run_node.h"

namespace ldmpi::test {
namespace {

TEST(CpuDevice, SetsTheThreadsAndNamesThem) {
  const auto lowering = backend::make_cpu_lowering(3);
  EXPECT_EQ(omp_get_max_threads(), 3);
  EXPECT_EQ(lowering->target(), "cpu:threads=3");
  const auto all = backend::make_cpu_device(0);
  EXPECT_EQ(omp_get_max_threads(), omp_get_num_procs());
  EXPECT_NE(all->description().find("oneDNN"), std::string::npos) << all->description();
  try {
    (void)backend::make_cpu_device(-1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::BadConfig);
  }
}

TEST(CpuDevice, CopiesToAndFro) {
  const auto device = backend::make_cpu_device(1);
  const auto memory = device->allocate(64);
  const std::array<float, 4> sent{1, 2, 3, 4};
  std::array<float, 4> received{};
  device->upload(memory->data(), sent.data(), sizeof sent);
  device->download(received.data(), memory->data(), sizeof received);
  EXPECT_EQ(sent, received);
}

TEST(CpuDevice, OpsOfExecHaveNoKernel) {
  EXPECT_EQ(backend::cpu_answer(ir::Reshape{}, {}).workspace_bytes, 0U);
  try {
    (void)backend::make_cpu_kernel(ir::Reshape{}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::Internal);
    EXPECT_NE(std::string(error.what()).find("reshape"), std::string::npos);
  }
}

// A lowering for many threads states bounds for many threads, whatever the process used before.
TEST(CpuLowering, AnswersForItsOwnThreads) {
  const ir::Conv2dWeightGrad op{ir::Conv2d{}, 3};
  const backend::NodeTypes types{{image({4, 64, 16, 16}), image({4, 64, 16, 16})}, {weight({64, 64, 3, 3})}};
  const auto eight = backend::make_cpu_lowering(8);
  const auto expected = eight->answer(op, types).workspace_bytes;
  const auto one = backend::make_cpu_lowering(1);
  (void)one->answer(op, types);
  EXPECT_EQ(eight->answer(op, types).workspace_bytes, expected);
}

// Runs the next test in this program again with an environment and returns what the child ended with.
std::array<char*, 4> child_arguments() {
  return {const_cast<char*>("backend_test"), const_cast<char*>("--gtest_filter=PassiveThreads.DISABLED_Child"),
          const_cast<char*>("--gtest_also_run_disabled_tests"), nullptr};
}

int run_child(const char* policy) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::unsetenv("OMP_WAIT_POLICY");
    ::unsetenv("GOMP_SPINCOUNT");
    if (policy != nullptr) ::setenv("OMP_WAIT_POLICY", policy, 1);
    ::execv("/proc/self/exe", child_arguments().data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Ends with 11 if the policy is passive in the end, else with 10.
TEST(PassiveThreads, DISABLED_Child) {
  backend::prefer_passive_threads(child_arguments().data());
  const char* policy = std::getenv("OMP_WAIT_POLICY");
  std::_Exit(policy != nullptr && std::string(policy) == "passive" ? 11 : 10);
}

TEST(PassiveThreads, AreSetOnceAndTheUsersChoiceStays) {
  EXPECT_EQ(run_child(nullptr), 11);
  EXPECT_EQ(run_child("active"), 10);
}

}  // namespace
}  // namespace ldmpi::test
