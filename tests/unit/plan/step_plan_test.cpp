// Whole steps: safe to the verifier, and close to the least memory any placement needs.

#include "backend/cpu/cpu_backend.h"
#include "ir/print.h"
#include "plan/verify.h"
#include "step_programs.h"

#include <gtest/gtest.h>

namespace ldmpi::plan {
namespace {

void expect_tight(std::string_view model, const test::StepOptions& options) {
  SCOPED_TRACE(fmt::format("{} {}", model, name_of(options.compute)));
  const auto lowering = backend::make_cpu_lowering(1);
  const test::StepProgram step(test::shipped_unet(model), *lowering, options);
  const auto programs = step.compile(step.graph());
  const auto& plan = programs->programs()[0].plan;
  ASSERT_GT(plan.lower_bound, 0);
  EXPECT_GE(plan.activation_bytes, plan.lower_bound);
  EXPECT_LT(static_cast<double>(plan.activation_bytes), 1.05 * static_cast<double>(plan.lower_bound));
  EXPECT_TRUE(verify(step.graph(), plan, step.inputs(programs->programs()[0])).empty());
}

TEST(StepPlan, QuickstartLosesLessThanFivePercentToFragmentation) {
  expect_tight("quickstart", {.compute = DType::F32, .batch = 16});
  expect_tight("quickstart", {.compute = DType::BF16, .batch = 16, .ranks = 4, .shards = 4});
}

TEST(StepPlan, StableDiffusionLosesLessThanFivePercentToFragmentation) {
  expect_tight("sd15", {.compute = DType::F32, .batch = 1, .bucket_bytes = 32 << 20});
}

TEST(StepPlan, TheStepIsTheSameOnEveryRankButForItsShard) {
  const auto lowering = backend::make_cpu_lowering(1);
  auto graph = [&](int rank, int shards) {
    return ir::print(
        test::StepProgram(test::tiny_unet(), *lowering, {.ranks = 2, .shards = shards, .rank = rank}).graph());
  };
  EXPECT_EQ(graph(0, 1), graph(1, 1));
}

// Time that a rank waits for others must not look like the work of another phase.
TEST(StepPlan, EveryWaitForOtherRanksCountsAsCommunication) {
  const auto lowering = backend::make_cpu_lowering(1);
  for (const int shards : {1, 2}) {
    const test::StepProgram step(test::tiny_unet(), *lowering, {.ranks = 2, .shards = shards});
    auto phase = ir::Phase::Data;
    int waits = 0;
    for (const auto& node : step.graph().nodes()) {
      if (const auto* mark = std::get_if<ir::Mark>(&node.op)) phase = mark->phase;
      if (!std::holds_alternative<ir::SumRanks>(node.op) && !std::holds_alternative<ir::WaitCollective>(node.op))
        continue;
      EXPECT_EQ(phase, ir::Phase::Communicate) << shards << " shards: " << name_of(node.op);
      ++waits;
    }
    EXPECT_GT(waits, shards + 2);
  }
}

TEST(StepPlan, ActivationsOfOneRankDoNotGrowWithTheOthers) {
  const auto lowering = backend::make_cpu_lowering(1);
  auto bytes = [&](int ranks, int shards, ir::Arena arena) {
    const test::StepProgram step(test::tiny_unet(), *lowering,
                                 {.compute = DType::BF16, .ranks = ranks, .shards = shards});
    return step.compile(step.graph())->arena_bytes()[static_cast<std::size_t>(arena)];
  };
  for (auto arena : {ir::Arena::Master, ir::Arena::Moment1, ir::Arena::Moment2, ir::Arena::Ema}) {
    const auto alone = bytes(1, 1, arena);
    EXPECT_EQ(bytes(4, 1, arena), alone);
    EXPECT_LE(bytes(4, 4, arena), alone / 4 + alone / 20) << "a quarter, and the padding of the buckets";
  }
}

}  // namespace
}  // namespace ldmpi::plan
