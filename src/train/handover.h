#pragma once
// A snapshot without a copy: the writer's thread asks for one tensor at a time, the thread that may touch the arenas
// and the communicator writes it into the writer's buffer, and training goes on when all have been taken.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>

#include "train/checkpoint.h"

namespace ldmpi::train {

/// One meets the other for each tensor. Tensors are given in the order in which they are taken.
class Handover {
 public:
  /// Waits until the next tensor is asked for and fills it. Returns false, without having called `fill`, if the other
  /// side is gone.
  bool give(const std::function<void(std::span<float>)>& fill);
  /// Waits until `values` is filled. Throws Error(IoError) if the other side is gone.
  void take(std::span<float> values);
  /// Ends the waiting of both sides.
  void close();

  /// Closes when it goes out of scope.
  class Closer {
   public:
    explicit Closer(std::shared_ptr<Handover> handover) : handover_(std::move(handover)) {}
    ~Closer() { handover_->close(); }
    Closer(const Closer&) = delete;
    Closer& operator=(const Closer&) = delete;

   private:
    std::shared_ptr<Handover> handover_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::span<float>> wanted_;
  bool closed_ = false;
};

/// What a CheckpointWriter reads out of a handover; files and tensors in their order.
class HandoverSnapshot final : public Snapshot {
 public:
  HandoverSnapshot(std::shared_ptr<Handover> handover, std::vector<TensorFile> files, TrainState state,
                   std::map<std::string, std::string> texts)
      : handover_(std::move(handover)),
        files_(std::move(files)),
        state_(std::move(state)),
        texts_(std::move(texts)),
        closer_(handover_) {}

  [[nodiscard]] const std::vector<TensorFile>& files() const override { return files_; }
  void read(std::size_t, std::size_t, std::span<float> out) const override { handover_->take(out); }
  [[nodiscard]] const TrainState& state() const override { return state_; }
  [[nodiscard]] const std::map<std::string, std::string>& texts() const override { return texts_; }

 private:
  std::shared_ptr<Handover> handover_;
  std::vector<TensorFile> files_;
  TrainState state_;
  std::map<std::string, std::string> texts_;
  Handover::Closer closer_;  // a save that fails half-way does not leave the other side waiting
};

}  // namespace ldmpi::train
