// A program that ends in the way its first argument says; job_end_test starts it under mpirun or lets it do so itself.

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "base/check.h"
#include "comm/agree.h"
#include "comm/relaunch.h"
#include "comm/run.h"
#include "comm/signals.h"

using namespace ldmpi;

namespace {

int act(const std::string& mode, comm::Communicator& ranks) {
  const bool odd_one = ranks.rank() == 1;
  if (mode == "ranks") {
    const auto texts = ranks.gather(std::to_string(ranks.rank()), 0);
    for (const auto& text : texts) std::printf("rank %s of %d\n", text.c_str(), ranks.size());
    return 0;
  }
  if (mode == "requeue") return static_cast<int>(Exit::Requeue);
  if (mode == "agreed") {
    comm::agree(ranks, [&] { require(!odd_one, Exit::MissingInput, "no such shard"); });
    return 0;
  }
  if (mode == "deaf") {
    comm::install_stop_signals();
    ranks.barrier();
    if (ranks.rank() == 0) std::printf("ready\n"), std::fflush(stdout);
    for (;;) usleep(1000);
  }
  if (mode == "signal") {
    comm::install_stop_signals();
    ranks.barrier();
    if (ranks.rank() == 0) std::printf("ready\n"), std::fflush(stdout);
    while (ranks.all_reduce_min(std::int64_t{comm::pending_stop().user1}) == 0) usleep(1000);
    return static_cast<int>(Exit::Requeue);
  }
  ranks.barrier();
  if (mode == "sleep") std::printf("pid %d\n", static_cast<int>(getpid())), std::fflush(stdout);
  if (odd_one) {
    if (mode == "throw" || mode == "busy") fail(Exit::BadData, "shard 3 is damaged");
    if (mode == "in_flight") {
      // Unwinding destroys a collective that the others never join.
      static std::vector<float> buffer(1'000'000);
      const auto request = ranks.start_all_reduce(buffer.data(), buffer.size(), DType::F32);
      fail(Exit::Numerical, "loss is not finite");
    }
    if (mode == "unknown") throw 1;
    if (mode == "kill") raise(SIGKILL);
    if (mode == "thread") std::thread([] { fail(Exit::IoError, "disk full"); }).join();
  }
  if (mode == "busy")
    for (;;) asm volatile("");  // computes and never looks at MPI
  if (mode == "sleep") sleep(60);
  ranks.barrier();
  ranks.barrier();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::string mode = argc > 1 ? argv[1] : "";
    const auto environment = comm::discover_environment();
    if (argc > 2) comm::relaunch_under_mpirun(environment, std::atoi(argv[2]), {argv + 1, argv + argc});
    return comm::run_ranks(environment, [&](comm::Communicator& ranks) { return act(mode, ranks); });
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return static_cast<int>(e.code());
  }
}
