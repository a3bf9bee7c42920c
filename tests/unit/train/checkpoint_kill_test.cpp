// A process that saves is killed at random moments: what is on disk is always the old or the new checkpoint, never a
// torn one.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <random>
#include <thread>

#include "fixture.h"
#include "train/checkpoint_writer.h"

namespace ldmpi::train::test {
namespace {

constexpr int kKills = 100;

/// Saves one step after the other until it is killed; writes each step to `pipe` when its save is durable.
[[noreturn]] void save_for_ever(const std::filesystem::path& checkpoints, std::int64_t step, int pipe) {
  try {
    CheckpointWriter writer({.checkpoints = checkpoints, .keep = 2, .job_id = "1", .owns_run = {}});
    for (;; ++step) {
      writer.submit(std::make_shared<TinySnapshot>(step));
      writer.finish();
      if (::write(pipe, &step, sizeof step) != sizeof step) break;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  ::_exit(1);
}

TEST(Kill, AfterEveryKillTheNewestCheckpointIsWhole) {
  Checkpoints checkpoints({});
  std::mt19937 random(20);
  std::int64_t durable = 0;  // highest step that a child reported as saved
  int inside = 0;            // kills that left a half-written checkpoint
  for (int kill = 0; kill < kKills; ++kill) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const std::int64_t first = durable + 1;
    const pid_t child = ::fork();
    if (child == 0) save_for_ever(checkpoints.path(), first, pipe[1]);
    ::close(pipe[1]);
    // Some children are killed while they start, the others at some moment after their first save.
    std::int64_t step = 0;
    if (kill % 4 != 0 && ::read(pipe[0], &step, sizeof step) == sizeof step) durable = std::max(durable, step);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 20'000));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child failed by itself";
    while (::read(pipe[0], &step, sizeof step) == sizeof step) durable = std::max(durable, step);
    ::close(pipe[0]);

    for (const auto& entry : std::filesystem::directory_iterator(checkpoints.path())) {
      const std::string name = entry.path().filename().string();
      EXPECT_EQ(name.find("corrupt"), std::string::npos) << name;
      if (name.starts_with(".tmp-1")) ++inside;
    }
    const auto reader = open_newest_checkpoint(checkpoints.path());
    if (durable == 0) continue;  // killed before its first save was complete
    ASSERT_TRUE(reader) << "after kill " << kill;
    ASSERT_GE(reader->state().step, durable) << "a checkpoint that was durable is gone";
    expect_content(*reader, reader->state().step);
    durable = reader->state().step;
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(inside, kKills / 10) << "the kills did not hit saves";
}

}  // namespace
}  // namespace ldmpi::train::test
