#pragma once
// How to wait for other ranks: hot at first, then leave the core to whoever computes.

#include <chrono>
#include <thread>

#include "base/clock.h"

namespace ldmpi::comm {

class Patience {
 public:
  /// To be called after each look at the messages; `moved` says that something happened since the last one.
  void look(bool moved) {
    if (moved) idle_ = 0;
    ++idle_;
    if (idle_ < kHot) return;
    if (idle_ == kHot) since_ = Clock::now();
    if (seconds_since(since_) < kPoliteSeconds)
      std::this_thread::yield();
    else
      std::this_thread::sleep_for(std::chrono::microseconds(50));
  }

 private:
  static constexpr int kHot = 200;
  static constexpr double kPoliteSeconds = 0.005;
  int idle_ = 0;
  Clock::time_point since_;
};

}  // namespace ldmpi::comm
