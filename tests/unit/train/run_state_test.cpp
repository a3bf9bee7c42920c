// The state of a real step program: out into a checkpoint and back, bit by bit.
#include "train/run_state.h"

#include <cstring>

#include "../exec/fixture.h"
#include "../plan/step_programs.h"
#include "config/print.h"
#include "fixture.h"
#include "train/resume.h"

namespace ldmpi::train::test {
namespace {

using ir::Arena;
constexpr Arena kArenas[] = {Arena::Weights, Arena::Master, Arena::Moment1, Arena::Moment2, Arena::Ema, Arena::State};

// Programs bound to their own memory.
struct Bound {
  explicit Bound(DType compute)
      : step(plan::test::tiny_unet(), *machine.lowering, {.compute = compute}),
        programs(step.compile(step.graph())),
        access{step.spec(), step.parameters(), *programs, *machine.device, *machine.communicator} {
    programs->bind(*machine.device, *machine.communicator);
  }
  std::span<std::byte> bytes(Arena arena) {
    auto* data = static_cast<std::byte*>(programs->arena(arena));
    return {data, static_cast<std::size_t>(programs->arena_bytes()[static_cast<std::size_t>(arena)])};
  }
  exec::test::Machine machine;
  plan::test::StepProgram step;
  std::unique_ptr<exec::ProgramSet> programs;
  StateAccess access;
};

class RunState : public ::testing::TestWithParam<DType> {};

TEST_P(RunState, ACheckpointGivesBackEveryBitAndEveryCounter) {
  Bound before(GetParam());
  // Each tensor of each arena has values of its own, all exact in 16 bits; the padding stays zero.
  float offset = 0;
  for (const auto arena : {Arena::Weights, Arena::Moment1, Arena::Moment2, Arena::Ema}) {
    const auto fill = [&](const nn::ParameterEntry& entry, std::span<float> values) {
      for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = offset + static_cast<float>((i + entry.name.size()) % 31);
    };
    if (arena == Arena::Weights)
      write_tensors(before.access, {Arena::Weights, Arena::Master}, Origin::EveryRank, fill);
    else
      write_tensors(before.access, {arena}, Origin::Rank0, fill);
    offset += 32;
  }
  auto* slots = reinterpret_cast<double*>(before.bytes(Arena::State).data());
  for (int i = 0; i < ir::kStateSlots; ++i) slots[i] = 0;
  slots[static_cast<int>(ir::StateSlot::Applied)] = 5;
  slots[static_cast<int>(ir::StateSlot::Skipped)] = 2;
  slots[static_cast<int>(ir::StateSlot::LossScale)] = 1024;
  slots[static_cast<int>(ir::StateSlot::GoodSteps)] = 3;
  slots[static_cast<int>(ir::StateSlot::EmaCount)] = 4;

  Checkpoints checkpoints({});
  CheckpointWriter writer({.checkpoints = checkpoints.path(), .keep = 1, .job_id = "", .owns_run = {}});
  TrainState state;
  state.step = 7;
  save_state(before.access, &writer, state, {{"config.cfg", "x"}});
  writer.finish();

  const CheckpointReader reader(checkpoints.folder(7));
  EXPECT_EQ(reader.state().applied_steps, 5);
  EXPECT_EQ(reader.state().skipped_steps, 2);
  EXPECT_EQ(reader.state().loss_scale, 1024);
  EXPECT_EQ(reader.state().loss_scale_good_steps, 3);
  EXPECT_EQ(reader.state().ema_count, 4);
  EXPECT_EQ(reader.tensors(kUnetFile).tensors().size(), before.step.parameters().table().entries().size());

  Bound after(GetParam());
  restore_state(after.access, &reader, reader.state());
  for (const auto arena : kArenas) {
    const auto expected = before.bytes(arena);
    const auto found = after.bytes(arena);
    ASSERT_EQ(found.size(), expected.size());
    EXPECT_TRUE(expected.empty() || std::memcmp(found.data(), expected.data(), expected.size()) == 0) << name_of(arena);
  }
}

TEST_P(RunState, ABeginHasTheSameWeightsEverywhereAndNothingElse) {
  Bound run(GetParam());
  begin_state(
      run.access, Origin::EveryRank,
      [](const auto& entry, std::span<float> values) { nn::initial_values(entry, 3, values); }, 65536);
  std::vector<std::vector<float>> tensors[2];
  for (const int set : {0, 1})
    read_tensors(run.access, set == 0 ? trained_arena(*run.programs) : Arena::Ema, true,
                 [&](const nn::ParameterEntry& entry, const auto& fill) {
                   tensors[set].emplace_back(static_cast<std::size_t>(entry.shape.count()));
                   fill(tensors[set].back());
                   EXPECT_EQ(tensors[set].back(), nn::initial_values(entry, 3)) << entry.name;
                 });
  EXPECT_EQ(tensors[0].size(), run.step.parameters().table().entries().size());
  EXPECT_EQ(tensors[0], tensors[1]);
  for (const auto arena : {Arena::Moment1, Arena::Moment2})
    for (const auto byte : run.bytes(arena)) ASSERT_EQ(byte, std::byte{0});
  EXPECT_EQ(read_state_slots(run.access)[static_cast<std::size_t>(ir::StateSlot::LossScale)], 65536);
}

INSTANTIATE_TEST_SUITE_P(Types, RunState, ::testing::Values(DType::F32, DType::BF16),
                         [](const auto& type) { return std::string(name_of(type.param)); });

TEST(AdoptPrecision, TheFirstLossScaleIsForRunsThatHadNone) {
  using config::Precision;
  auto adopted = [](Precision saved, Precision now) {
    config::TrainConfig config;
    config.precision = saved;
    TrainState state;
    state.config = config::to_ini(config);
    state.loss_scale = saved == Precision::Fp16 ? 512 : 1;
    state.loss_scale_good_steps = 9;
    adopt_precision(state, now);
    return std::pair(state.loss_scale, state.loss_scale_good_steps);
  };
  EXPECT_EQ(adopted(Precision::Fp32, Precision::Fp16), std::pair(65536.0, std::int64_t{0}));
  EXPECT_EQ(adopted(Precision::Bf16, Precision::Fp16), std::pair(65536.0, std::int64_t{0}));
  EXPECT_EQ(adopted(Precision::Fp16, Precision::Fp32), std::pair(1.0, std::int64_t{0}));
  EXPECT_EQ(adopted(Precision::Fp16, Precision::Fp16), std::pair(512.0, std::int64_t{9}));
  EXPECT_EQ(adopted(Precision::Fp32, Precision::Bf16), std::pair(1.0, std::int64_t{9}));
}

}  // namespace
}  // namespace ldmpi::train::test
