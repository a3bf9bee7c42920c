#include "comm/signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "base/check.h"

namespace ldmpi::comm {
namespace {

// A handler has no argument to reach an object through, hence these four.
std::atomic<bool> user1;
std::atomic<bool> user2;
std::atomic<bool> terminate;
std::atomic<bool> interrupt;
static_assert(std::atomic<bool>::is_always_lock_free);

constexpr int kInterrupted = 130;  // 128 + SIGINT, as the shell says it

extern "C" void on_stop_signal(int signal) {
  switch (signal) {
    case SIGUSR1: user1 = true; break;
    case SIGUSR2: user2 = true; break;
    case SIGTERM: terminate = true; break;
    case SIGINT:
      if (interrupt.exchange(true)) _exit(kInterrupted);
      break;
    default: break;
  }
}

}  // namespace

void install_stop_signals() {
  for (auto* flag : {&user1, &user2, &terminate, &interrupt}) *flag = false;
  struct sigaction action = {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;  // reads and writes go on; the flags are looked at between steps
  sigfillset(&action.sa_mask);
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT}) sigaction(signal, &action, nullptr);
}

StopRequest pending_stop() noexcept {
  return {user1, user2, terminate, interrupt};
}

void end_if_asked_to_stop() {
  require(!pending_stop().any(), Exit::Requeue,
          "stopped on request before the first step; nothing was changed, the same command starts again");
}

}  // namespace ldmpi::comm
