// A whole training step, run: it learns, and gives the same bits again.

#include <cmath>
#include <cstring>

#include "../plan/step_programs.h"
#include "exec/parameters.h"
#include "fixture.h"
#include "train/run_state.h"

namespace ldmpi::exec {
namespace {

struct Result {
  std::vector<float> losses;
  std::vector<float> weights;
  std::vector<float> moments;
};

// Several steps on one batch from the same initial values.
Result train(DType compute, int steps) {
  test::Machine machine;
  const plan::test::StepProgram step(plan::test::tiny_unet(), *machine.lowering, {.compute = compute});
  const auto set = step.compile(step.graph());
  set->bind(*machine.device, *machine.communicator);
  const auto& storage = set->storage();
  const train::StateAccess access{step.spec(), step.parameters(), *set, *machine.device, *machine.communicator};
  train::begin_state(
      access, train::Origin::EveryRank,
      [](const auto& entry, std::span<float> values) { nn::initial_values(entry, 1, values); }, 1);

  const Draw draw{.seed = 11, .purpose = Purpose::Synthetic, .index = 0};
  for (const char* label : {"latents", "context", "empty"}) {
    std::vector<float> values(static_cast<std::size_t>(set->input_type(0, label).count()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = draw.normal(i);
    test::write(*set, 0, label, values);
  }
  test::write(*set, 0, "draws", std::vector<std::int64_t>{5, 6});
  test::write(*set, 0, "lr", std::vector<float>{1e-3F});
  Result result;
  for (int i = 0; i < steps; ++i) {
    (void)set->run(0);
    result.losses.push_back(test::read(*set, 0, "loss").front());
  }
  result.weights.resize(static_cast<std::size_t>(storage.total));
  download(*set, *machine.device, ir::Arena::Weights, 0, result.weights, compute);
  result.moments.resize(static_cast<std::size_t>(storage.trainable));
  download(*set, *machine.device, ir::Arena::Moment1, 0, result.moments, DType::F32);
  return result;
}

bool equal_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class Step : public ::testing::TestWithParam<DType> {};

TEST_P(Step, TheSameStepsGiveTheSameBits) {
  const auto first = train(GetParam(), 3);
  const auto again = train(GetParam(), 3);
  EXPECT_TRUE(equal_bits(first.losses, again.losses));
  EXPECT_TRUE(equal_bits(first.weights, again.weights));
  EXPECT_TRUE(equal_bits(first.moments, again.moments));
}

TEST_P(Step, TheLossOfOneBatchFalls) {
  const auto result = train(GetParam(), 30);
  for (float loss : result.losses) ASSERT_TRUE(std::isfinite(loss));
  EXPECT_LT(result.losses.back(), 0.9F * result.losses.front());
}

INSTANTIATE_TEST_SUITE_P(Types, Step, ::testing::Values(DType::F32, DType::BF16),
                         [](const auto& type) { return std::string(name_of(type.param)); });

}  // namespace
}  // namespace ldmpi::exec
