// Stop signals set one flag each; the second interrupt ends the process.

#include "comm/signals.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "base/check.h"

namespace ldmpi::comm {
namespace {

TEST(Signals, OneFlagEach) {
  install_stop_signals();
  EXPECT_FALSE(pending_stop().any());
  raise(SIGTERM);
  raise(SIGUSR1);
  raise(SIGCONT);  // Slurm sends it along
  EXPECT_TRUE(pending_stop().terminate);
  EXPECT_TRUE(pending_stop().user1);
  EXPECT_FALSE(pending_stop().user2);
  EXPECT_FALSE(pending_stop().interrupt);
  raise(SIGUSR2);
  EXPECT_TRUE(pending_stop().user2);
  install_stop_signals();
  EXPECT_FALSE(pending_stop().any());
}

TEST(Signals, AStartEndsInOrderWhenAskedTo) {
  install_stop_signals();
  end_if_asked_to_stop();
  raise(SIGUSR2);
  try {
    end_if_asked_to_stop();
    ADD_FAILURE() << "went on";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::Requeue);
  }
  install_stop_signals();
}

TEST(SignalsDeathTest, SecondInterruptIsImmediate) {
  install_stop_signals();
  raise(SIGINT);
  EXPECT_TRUE(pending_stop().interrupt);
  EXPECT_EXIT(raise(SIGINT), testing::ExitedWithCode(130), "");
  install_stop_signals();
}

}  // namespace
}  // namespace ldmpi::comm
