#include "train/checkpoint_writer.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "fixture.h"
#include "train/retention.h"

namespace ldmpi::train::test {
namespace {

CheckpointWriterOptions options_for(const Checkpoints& checkpoints, int keep = 2) {
  return {.checkpoints = checkpoints.path(), .keep = keep, .job_id = "17", .owns_run = {}};
}

std::shared_ptr<const Snapshot> snapshot(std::int64_t step) {
  return std::make_shared<TinySnapshot>(step);
}

std::shared_ptr<const Snapshot> failing(std::int64_t step) {
  auto bad = std::make_shared<TinySnapshot>(step);
  bad->on_read = [](std::size_t file, std::size_t) { require(file < 2, Exit::IoError, "the device is gone"); };
  return bad;
}

TEST(Writer, SavesInTheBackgroundAndKeepsTheNewest) {
  Checkpoints checkpoints({});
  CheckpointWriter writer(options_for(checkpoints));
  for (const std::int64_t step : {10, 20, 30, 40}) writer.submit(snapshot(step));
  writer.finish();
  EXPECT_EQ(writer.last_saved_step(), 40);
  EXPECT_FALSE(writer.busy());
  EXPECT_EQ(list_steps(checkpoints.path()), (std::vector<std::int64_t>{40, 30}));
  EXPECT_EQ(get(checkpoints.path() / "latest"), "step-00000040\n");
  expect_content(*open_newest_checkpoint(checkpoints.path()), 40);
  std::size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoints.path())) entries += entry.exists() ? 1U : 0U;
  EXPECT_EQ(entries, 3U) << "something was left behind";
}

TEST(Writer, DoesNotWaitForTheSave) {
  Checkpoints checkpoints({});
  std::atomic<bool> release = false;
  auto slow = std::make_shared<TinySnapshot>(1);
  slow->on_read = [&](std::size_t, std::size_t) { release.wait(false); };
  CheckpointWriter writer(options_for(checkpoints));
  writer.submit(slow);
  EXPECT_TRUE(writer.busy());
  EXPECT_TRUE(list_steps(checkpoints.path()).empty()) << "a checkpoint has its name before it is complete";
  release = true;
  release.notify_all();
  writer.wait();
  EXPECT_EQ(writer.last_saved_step(), 1);
}

TEST(Writer, ASnapshotStillWaitingIsSavedAtTheEnd) {
  Checkpoints checkpoints({});
  {
    CheckpointWriter writer(options_for(checkpoints));
    writer.submit(snapshot(3));
  }
  expect_content(*open_newest_checkpoint(checkpoints.path()), 3);
}

TEST(Writer, TheSameStepAgainReplacesIt) {
  Checkpoints checkpoints({});
  CheckpointWriter writer(options_for(checkpoints, 1));
  writer.submit(std::make_shared<TinySnapshot>(3, 5));
  writer.submit(std::make_shared<TinySnapshot>(3, 8));
  writer.finish();
  expect_content(*open_newest_checkpoint(checkpoints.path()), 3, 8);
}

TEST(Writer, RemovesLeftoversOfKilledJobs) {
  Checkpoints checkpoints({5});
  for (const char* name : {".tmp-12-99/unet", ".trash-step-00000001/unet", "mine"})
    std::filesystem::create_directories(checkpoints.path() / name);
  const CheckpointWriter writer(options_for(checkpoints));
  EXPECT_FALSE(checkpoints.exists(".tmp-12-99"));
  EXPECT_FALSE(checkpoints.exists(".trash-step-00000001"));
  EXPECT_TRUE(checkpoints.exists("mine"));
  EXPECT_TRUE(checkpoints.exists("step-00000005"));
}

TEST(Writer, TwoFailuresAreSurvivedTheThirdInARowIsThrown) {
  Checkpoints checkpoints({});
  CheckpointWriter writer(options_for(checkpoints));
  writer.submit(snapshot(1));
  for (const std::int64_t step : {2, 3}) writer.submit(failing(step));
  writer.wait();
  EXPECT_NE(writer.last_error().value_or("").find("the device is gone"), std::string::npos);
  expect_error(Exit::IoError, "the device is gone", [&] { writer.finish(); });
  writer.submit(snapshot(4));  // a success counts from the begin again
  for (const std::int64_t step : {5, 6, 7}) writer.submit(failing(step));
  expect_error(Exit::IoError, "3 checkpoints in a row", [&] { writer.wait(); });
  expect_error(Exit::IoError, "step-00000004", [&] { writer.poll(); });
  expect_error(Exit::IoError, "3 checkpoints in a row", [&] { writer.submit(snapshot(8)); });
  EXPECT_EQ(list_steps(checkpoints.path()), (std::vector<std::int64_t>{4, 1}));
  EXPECT_FALSE(checkpoints.exists(".tmp-17-" + std::to_string(::getpid())));
}

TEST(Writer, ARemovedFolderIsAFailureLikeOthers) {
  Checkpoints checkpoints({});
  CheckpointWriter writer(options_for(checkpoints));
  std::filesystem::remove_all(checkpoints.path());
  writer.submit(snapshot(1));
  writer.wait();
  EXPECT_TRUE(writer.last_error());
  std::filesystem::create_directory(checkpoints.path());
  writer.submit(snapshot(2));
  writer.finish();
}

TEST(Writer, PublishesNothingOnceTheRunBelongsToAnotherJob) {
  Checkpoints checkpoints({});
  std::atomic<bool> owned = true;
  auto options = options_for(checkpoints);
  options.owns_run = [&] { return owned.load(); };
  CheckpointWriter writer(std::move(options));
  writer.submit(snapshot(1));
  writer.wait();
  owned = false;
  writer.submit(snapshot(2));
  expect_error(Exit::CannotCreate, "another job", [&] { writer.wait(); });
  expect_error(Exit::CannotCreate, "another job", [&] { writer.poll(); });
  EXPECT_EQ(list_steps(checkpoints.path()), (std::vector<std::int64_t>{1}));
  EXPECT_EQ(read_latest(checkpoints.path()), "step-00000001");
}

TEST(Writer, AFolderThatCannotBeWrittenEndsTheJobAtItsStart) {
  Checkpoints checkpoints({});
  auto options = options_for(checkpoints);
  options.checkpoints = checkpoints.path() / "absent";
  expect_error(Exit::CannotCreate, "cannot be written", [&] { CheckpointWriter writer(options); });
}

TEST(Retention, NeverRemovesTheOneNamedInLatest) {
  Checkpoints checkpoints({1, 2, 3, 4});
  write_latest(checkpoints.path(), "step-00000002");
  apply_retention(checkpoints.path(), 1);
  EXPECT_EQ(list_steps(checkpoints.path()), (std::vector<std::int64_t>{4, 2}));
  write_latest(checkpoints.path(), "step-00000004");
  apply_retention(checkpoints.path(), 0);  // at least one stays
  EXPECT_EQ(list_steps(checkpoints.path()), (std::vector<std::int64_t>{4}));
}

TEST(Retention, LatestIsBelievedOnlyIfItIsAName) {
  Checkpoints checkpoints({});
  EXPECT_EQ(read_latest(checkpoints.path()), "");
  for (const char* text : {"../../etc", "step-1", "", "step-00000001/.."}) {
    put(checkpoints.path() / "latest", text);
    EXPECT_EQ(read_latest(checkpoints.path()), "") << text;
  }
}

/// Runs in a process with its own mounts: a disk of `bytes` at `folder`. Exit 77: not permitted; else 0 or the line
/// that failed.
int on_small_disk(const std::filesystem::path& folder, const char* size, const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", folder.c_str(), "tmpfs", 0, size) != 0)
      ::_exit(77);
    try {
      ::_exit(body());
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      ::_exit(99);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

#define CHECK_HERE(condition)                   \
  do {                                          \
    if (!(condition)) return __LINE__ % 64 + 1; \
  } while (false)

TEST(DiskFull, InASaveKeepsTheOldOneAndTrainingGoesOn) {
  Checkpoints checkpoints({});
  const int result = on_small_disk(checkpoints.path(), "size=8m", [&] {
    CheckpointWriter writer(options_for(checkpoints));
    writer.submit(snapshot(1));
    writer.finish();
    // The disk fills up between the look at the free space and the last byte.
    auto big = std::make_shared<TinySnapshot>(2, 20'000);
    big->files_.pop_back();
    big->on_read = [&](std::size_t file, std::size_t tensor) {
      if (file == 0 && tensor == 0) std::ofstream(checkpoints.path() / "filler") << std::string(4 << 20, 'x');
    };
    writer.submit(big);
    writer.wait();
    const std::string message = writer.last_error().value_or("");
    CHECK_HERE(message.find("No space left") != std::string::npos);
    CHECK_HERE(!checkpoints.exists(".tmp-17-" + std::to_string(::getpid())));
    CHECK_HERE(open_newest_checkpoint(checkpoints.path())->state().step == 1);
    writer.submit(std::make_shared<TinySnapshot>(3, 100'000));  // refused before a byte is written
    writer.wait();
    CHECK_HERE(writer.last_error().value_or("").find("free") != std::string::npos);
    writer.submit(snapshot(4));
    writer.finish();
    CHECK_HERE(open_newest_checkpoint(checkpoints.path())->state().step == 4);
    return 0;
  });
  if (result == 77) GTEST_SKIP() << "mounting a small tmpfs is not permitted here";
  EXPECT_EQ(result, 0);
}

TEST(DiskFull, AtTheStartIsRefused) {
  Checkpoints checkpoints({});
  const int result = on_small_disk(checkpoints.path(), "size=512k", [&] {
    try {
      CheckpointWriter writer(options_for(checkpoints));
    } catch (const Error& error) {
      CHECK_HERE(error.code() == Exit::CannotCreate);
      CHECK_HERE(std::string_view(error.what()).find("No space left") != std::string_view::npos);
      CHECK_HERE(std::filesystem::is_empty(checkpoints.path()));
      return 0;
    }
    return 70;
  });
  if (result == 77) GTEST_SKIP() << "mounting a small tmpfs is not permitted here";
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace ldmpi::train::test
