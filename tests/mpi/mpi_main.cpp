// main of the tests on several ranks: a test fails on all ranks if it fails on one, and a test that hangs is ended.

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/log.h"
#include "comm/mpi.h"
#include "ranks.h"

namespace {

using namespace ldmpi;

constexpr double kLimitSeconds = 60;
constexpr int kHung = 86;

comm::Environment job;
comm::Communicator* world = nullptr;
comm::Communicator* world_in_tiny_pieces = nullptr;

/// Ends the process when no test has begun or ended for kLimitSeconds; mpirun then ends the other ranks.
class Watchdog {
 public:
  void feed() { last_ = Clock::now().time_since_epoch().count(); }

 private:
  void watch(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      if (seconds_since(Clock::time_point(Clock::duration(last_))) < kLimitSeconds) continue;
      std::fprintf(stderr, "rank %d: hangs in %s\n", job.rank,
                   testing::UnitTest::GetInstance()->current_test_info()
                       ? testing::UnitTest::GetInstance()->current_test_info()->name()
                       : "the set-up");
      _exit(kHung);
    }
  }
  std::atomic<Clock::rep> last_{Clock::now().time_since_epoch().count()};
  std::jthread thread_{[this](const std::stop_token& stop) { watch(stop); }};
};

class AllRanks final : public testing::EmptyTestEventListener {
 public:
  explicit AllRanks(Watchdog& watchdog) : watchdog_(watchdog) {}
  void OnTestStart(const testing::TestInfo&) override { watchdog_.feed(); }
  void OnTestPartResult(const testing::TestPartResult& part) override {
    if (part.failed() && job.rank != 0)
      std::fprintf(stderr, "rank %d: %s:%d: %s\n", job.rank, part.file_name(), part.line_number(), part.message());
  }
  void OnTestEnd(const testing::TestInfo& info) override {
    watchdog_.feed();
    const bool failed = info.result()->Failed();
    const auto failures = world->all_reduce_sum(std::int64_t{failed ? 1 : 0});
    if (!failed && failures > 0) ADD_FAILURE() << "failed on " << failures << " other rank(s)";
  }

 private:
  Watchdog& watchdog_;
};

}  // namespace

comm::Communicator& ldmpi::test::ranks() {
  return *world;
}
comm::Communicator& ldmpi::test::tiny() {
  return *world_in_tiny_pieces;
}
const comm::Environment& ldmpi::test::environment() {
  return job;
}

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  job = comm::discover_environment();
  log::set_rank(job.rank, job.ranks);
  comm::die_with_launcher(job);
  Watchdog watchdog;
  const auto communicator = comm::make_communicator(job);
  const auto in_tiny_pieces = comm::make_communicator(job, test::kTiny);
  world = communicator.get();
  world_in_tiny_pieces = in_tiny_pieces.get();
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  auto* printer = listeners.Release(listeners.default_result_printer());
  listeners.Append(new AllRanks(watchdog));
  if (job.rank == 0)
    listeners.Append(printer);
  else
    delete printer;
  const int result = RUN_ALL_TESTS();
  return static_cast<int>(world->all_reduce_max(std::int64_t{result}));
}
