#include "train/handover.h"

#include <thread>

#include "fixture.h"
#include "train/checkpoint_writer.h"

namespace ldmpi::train::test {
namespace {

std::shared_ptr<const HandoverSnapshot> snapshot(const std::shared_ptr<Handover>& handover, std::int64_t step) {
  const TinySnapshot tiny(step);
  return std::make_shared<const HandoverSnapshot>(handover, tiny.files(), tiny.state(), tiny.texts());
}

// Gives the tensors of TinySnapshot(step) in their order; returns how many were taken.
std::size_t give_all(Handover& handover, std::int64_t step) {
  const TinySnapshot tiny(step);
  std::size_t taken = 0;
  for (std::size_t f = 0; f < tiny.files().size(); ++f)
    for (std::size_t t = 0; t < tiny.files()[f].tensors.size(); ++t)
      taken += handover.give([&](std::span<float> out) { tiny.read(f, t, out); }) ? 1U : 0U;
  return taken;
}

TEST(HandoverTest, WhatIsGivenIsInTheCheckpoint) {
  Checkpoints checkpoints({});
  CheckpointWriter writer({.checkpoints = checkpoints.path(), .keep = 2, .job_id = "", .owns_run = {}});
  for (const std::int64_t step : {10, 20}) {
    const auto handover = std::make_shared<Handover>();
    const Handover::Closer closer(handover);
    writer.submit(snapshot(handover, step));
    EXPECT_EQ(give_all(*handover, step), 8U);
  }
  writer.finish();
  for (const std::int64_t step : {10, 20}) expect_content(CheckpointReader(checkpoints.folder(step)), step);
}

TEST(HandoverTest, TheGiverDoesNotWaitForAWriterThatFailed) {
  Checkpoints checkpoints({});
  CheckpointWriter writer({.checkpoints = checkpoints.path(), .keep = 2, .job_id = "", .owns_run = {}});
  std::filesystem::remove_all(checkpoints.path());
  const auto handover = std::make_shared<Handover>();
  writer.submit(snapshot(handover, 10));
  EXPECT_EQ(give_all(*handover, 10), 0U);
  writer.wait();
  EXPECT_TRUE(writer.last_error());
}

TEST(HandoverTest, TheWriterDoesNotWaitForAGiverThatIsGone) {
  Checkpoints checkpoints({});
  CheckpointWriter writer({.checkpoints = checkpoints.path(), .keep = 2, .job_id = "", .owns_run = {}});
  const auto handover = std::make_shared<Handover>();
  {
    const Handover::Closer closer(handover);
    writer.submit(snapshot(handover, 10));
    EXPECT_TRUE(handover->give([](std::span<float> out) { std::ranges::fill(out, 1.0F); }));
  }
  writer.wait();
  EXPECT_NE(writer.last_error().value_or("").find("before the checkpoint was complete"), std::string::npos);
  EXPECT_TRUE(list_steps(checkpoints.path()).empty());
}

TEST(HandoverTest, AFailureOfTheGiverReachesItself) {
  const auto handover = std::make_shared<Handover>();
  std::jthread taker([handover] {
    std::vector<float> values(4);
    EXPECT_THROW(handover->take(values), Error);
  });
  EXPECT_THROW(
      {
        const Handover::Closer closer(handover);
        handover->give([](std::span<float>) { fail(Exit::IoError, "the device is gone"); });
      },
      Error);
}

}  // namespace
}  // namespace ldmpi::train::test
