#include "train/handover.h"

#include "base/check.h"

namespace ldmpi::train {

bool Handover::give(const std::function<void(std::span<float>)>& fill) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return wanted_ || closed_; });
  if (closed_) return false;
  fill(*wanted_);
  wanted_.reset();
  changed_.notify_all();
  return true;
}

void Handover::take(std::span<float> values) {
  std::unique_lock lock(mutex_);
  require(!closed_, Exit::IoError, "training ended before the checkpoint was complete");
  wanted_ = values;
  changed_.notify_all();
  changed_.wait(lock, [&] { return !wanted_ || closed_; });
  require(!wanted_, Exit::IoError, "training ended before the checkpoint was complete");
}

void Handover::close() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

}  // namespace ldmpi::train
