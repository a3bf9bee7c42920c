#include "train/run_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "base/clock.h"
#include "fixture.h"

namespace ldmpi::train::test {
namespace {

using namespace std::chrono_literals;

constexpr LockTiming kQuick{.heartbeat = 50ms, .patience = 400ms};

LockOwner elsewhere(const std::string& job = "") {
  return {.host = "another-host", .pid = 4711, .job_id = job, .token = "t"};
}

TEST(Lock, IsHeldWrittenAndGivenBack) {
  Scratch scratch;
  const auto file = scratch / "LOCK";
  {
    const RunLock lock(file, "12");
    EXPECT_TRUE(lock.owned());
    EXPECT_EQ(parse_lock_owner(get(file)), lock.owner());
    EXPECT_EQ(lock.owner().pid, ::getpid());
  }
  EXPECT_EQ(get(file), "");
  const RunLock again(file, "");
  EXPECT_TRUE(again.owned());
}

TEST(Lock, ALiveOwnerIsNamed) {
  Scratch scratch;
  const RunLock lock(scratch / "LOCK", "12");
  for (const char* job : {"", "13", "12"}) {  // the same job id does not help against a process that is proven alive
    const auto start = Clock::now();
    expect_error(Exit::CannotCreate,
                 "process " + std::to_string(::getpid()) + " on host " + lock.owner().host + " (job 12)",
                 [&] { RunLock second(scratch / "LOCK", job); });
    EXPECT_LT(seconds_since(start), 1.0);
  }
  EXPECT_TRUE(lock.owned());
}

/// Another process that holds the lock until it is told to end or killed.
class Holder {
 public:
  explicit Holder(const std::filesystem::path& file) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      try {
        const RunLock lock(file, "");
        (void)!::write(ready[1], "x", 1);
        for (;;) ::pause();
      } catch (const std::exception&) {
        ::_exit(1);
      }
    }
    ::close(ready[1]);
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
  }
  void kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  ~Holder() { kill(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

TEST(Lock, OfAnotherProcessIsRespectedUntilThatIsDead) {
  Scratch scratch;
  Holder holder(scratch / "LOCK");
  expect_error(Exit::CannotCreate, "process " + std::to_string(holder.pid()),
               [&] { RunLock lock(scratch / "LOCK", ""); });
  holder.kill();
  const auto start = Clock::now();
  const RunLock lock(scratch / "LOCK", "");
  EXPECT_TRUE(lock.owned());
  EXPECT_LT(seconds_since(start), 1.0);
}

TEST(Lock, OfTheSameJobOnAnotherHostIsTakenAtOnce) {
  Scratch scratch;
  put(scratch / "LOCK", to_json(elsewhere("77")));
  const auto start = Clock::now();
  const RunLock lock(scratch / "LOCK", "77");
  EXPECT_TRUE(lock.owned());
  EXPECT_LT(seconds_since(start), 1.0);
}

TEST(Lock, OfASilentOwnerOnAnotherHostIsTakenAfterThePatience) {
  for (const char* job : {"78", ""}) {
    Scratch scratch;
    put(scratch / "LOCK", to_json(elsewhere(job)));
    const auto start = Clock::now();
    const RunLock lock(scratch / "LOCK", job[0] != '\0' ? "79" : "", kQuick);
    EXPECT_GE(seconds_since(start), 0.4);
    EXPECT_TRUE(lock.owned());
  }
}

TEST(Lock, OfAnOwnerWithAHeartbeatIsRespected) {
  Scratch scratch;
  const auto file = scratch / "LOCK";
  put(file, to_json(elsewhere()));
  std::jthread heart([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      ::utimensat(AT_FDCWD, file.c_str(), nullptr, 0);
      std::this_thread::sleep_for(20ms);
    }
  });
  expect_error(Exit::CannotCreate, "process 4711 on host another-host", [&] { RunLock lock(file, "", kQuick); });
}

TEST(Lock, StillHeldAtAServerForADeadHostIsReplaced) {
  Scratch scratch;
  const auto file = scratch / "LOCK";
  put(file, to_json(elsewhere()));
  // Stands for the dead host's lock: held through another open file description.
  const int stuck = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
  struct flock request {};
  request.l_type = F_WRLCK;
  ASSERT_EQ(::fcntl(stuck, F_OFD_SETLK, &request), 0);
  const RunLock lock(file, "", kQuick);
  EXPECT_TRUE(lock.owned());
  expect_error(Exit::CannotCreate, "in use", [&] { RunLock second(file, "", kQuick); });
  ::close(stuck);
  EXPECT_EQ(files_in(scratch.path()), (std::vector<std::string>{"LOCK"}));
}

TEST(Lock, KnowsWhenAnotherJobTookOver) {
  Scratch scratch;
  const auto file = scratch / "LOCK";
  const std::string other = to_json(elsewhere());
  {
    const RunLock lock(file, "", kQuick);
    put(file, other);
    EXPECT_FALSE(lock.owned());
    std::filesystem::remove(file);
    EXPECT_FALSE(lock.owned());
    put(file, other);
  }
  EXPECT_EQ(get(file), other) << "the lock of the new owner was given away";
}

TEST(Lock, HeartbeatRenewsTheTime) {
  Scratch scratch;
  const auto file = scratch / "LOCK";
  const RunLock lock(file, "", kQuick);
  const auto before = std::filesystem::last_write_time(file);
  std::this_thread::sleep_for(200ms);
  EXPECT_GT(std::filesystem::last_write_time(file), before);
}

TEST(Lock, TornOrForeignContentIsNoOwner) {
  for (const char* text :
       {"", "{", "null", "[1]", "{\"host\": \"h\"}", "{\"host\":1,\"pid\":2,\"job_id\":\"\",\"token\":\"\"}"}) {
    EXPECT_FALSE(parse_lock_owner(text)) << text;
    Scratch scratch;
    put(scratch / "LOCK", text);
    EXPECT_TRUE(RunLock(scratch / "LOCK", "").owned());
  }
  expect_error(Exit::CannotCreate, "lock file", [] { RunLock lock("/nonexistent/LOCK", ""); });
}

TEST(Lock, OfManyProcessesAtOnceOneWins) {
  Scratch scratch;
  put(scratch / "LOCK", to_json(elsewhere("5")));
  int gate[2];
  ASSERT_EQ(::pipe(gate), 0);
  std::vector<pid_t> children;
  for (int i = 0; i < 8; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(gate[1]);
      char byte = 0;
      (void)!::read(gate[0], &byte, 1);  // end of file when all are there
      try {
        const RunLock lock(scratch / "LOCK", "5");
        std::this_thread::sleep_for(3s);
        ::_exit(lock.owned() ? 0 : 2);
      } catch (const Error& error) {
        ::_exit(error.code() == Exit::CannotCreate ? 1 : 3);
      }
    }
    children.push_back(child);
  }
  ::close(gate[0]);
  ::close(gate[1]);
  int winners = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_LE(WEXITSTATUS(status), 1);
    winners += WEXITSTATUS(status) == 0 ? 1 : 0;
  }
  EXPECT_EQ(winners, 1);
}

}  // namespace
}  // namespace ldmpi::train::test
