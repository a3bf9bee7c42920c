// What is settled after parsing: the batch equation and the values that depend on ranks and device.
#include "config/resolve.h"

#include "fixture.h"

namespace ldmpi::config {
namespace {

using Maybe = std::optional<std::int64_t>;

void expect_batch(const Batch& batch, std::int64_t batch_size, std::int64_t accumulation, std::int64_t total) {
  EXPECT_EQ(batch.batch_size, batch_size);
  EXPECT_EQ(batch.accumulation, accumulation);
  EXPECT_EQ(batch.total, total);
  EXPECT_EQ(batch.total, batch.ranks * batch.batch_size * batch.accumulation);
}

TEST_F(ConfigTest, BatchEquation) {
  expect_batch(resolve_batch({}, {}, {}, 3), 1, 1, 3);
  expect_batch(resolve_batch(4, {}, {}, 2), 4, 1, 8);
  expect_batch(resolve_batch(4, {}, 3, 2), 4, 3, 24);
  expect_batch(resolve_batch({}, 16, {}, 2), 8, 1, 16);
  expect_batch(resolve_batch({}, 16, 4, 2), 2, 4, 16);
  expect_batch(resolve_batch(2, 16, {}, 2), 2, 4, 16);
  expect_batch(resolve_batch(2, 16, 4, 2), 2, 4, 16);
  EXPECT_EQ(resolve_batch({}, 16, {}, 2).equation(),
            "total_batch_size 16 = num_gpus 2 x batch_size 8 x accumulation 1");
}

TEST_F(ConfigTest, BatchRefusalsNameTheRanksThatFit) {
  const auto message = [](Maybe batch_size, Maybe total, Maybe accumulation, std::int64_t ranks) {
    return refusal([&] { (void)resolve_batch(batch_size, total, accumulation, ranks); });
  };
  expect_has(message({}, 16, {}, 3), "Numbers of ranks that fit: 1, 2, 4, 8, 16.");
  expect_has(message(4, 16, {}, 3), "Numbers of ranks that fit: 1, 2, 4.");
  expect_has(message(2, 16, 2, 2), "It holds for num_gpus 4 only.");
  expect_has(message(5, 16, {}, 1), "No number of ranks fits; the nearest totals are 15 and 20.");
  expect_has(message(4, 2, {}, 1), "the nearest totals are 4.");
}

TEST_F(ConfigTest, ResolveFromScratchOnTheCpu) {
  TrainConfig c = train({"--total_batch_size", "8", "--max_train_steps", "200"});
  const Sources derived = resolve(c, 2, false);
  EXPECT_EQ(c.num_gpus, 2);
  EXPECT_EQ(c.batch_size, 4);
  EXPECT_EQ(c.accumulation, 1);
  EXPECT_EQ(c.device, Device::Cpu);
  EXPECT_EQ(c.precision, Precision::Fp32);
  EXPECT_EQ(c.optimizer.learning_rate, 1e-4);
  EXPECT_EQ(c.schedule.warmup_steps, 20);
  EXPECT_EQ(c.ema.enabled, Switch::On);
  EXPECT_EQ(derived.count("total_batch_size"), 0U);
  EXPECT_EQ(derived.at("batch_size"), "derived: total_batch_size 8 = num_gpus 2 x batch_size 4 x accumulation 1");
  TrainConfig again = c;
  EXPECT_TRUE(resolve(again, 2, true).empty()) << "a resolved configuration is settled";
  EXPECT_EQ(again.device, Device::Cpu);
}

TEST_F(ConfigTest, ResolveFromWeightsOnCuda) {
  auto c = std::get<TrainConfig>(parse({"train", "--model.path", "W", "--data.path", "D", "--output_dir", "R"}).config);
  (void)resolve(c, 1, true);
  EXPECT_EQ(c.device, Device::Cuda);
  EXPECT_EQ(c.precision, Precision::Bf16);
  EXPECT_EQ(c.optimizer.learning_rate, 1e-5);
  EXPECT_EQ(c.schedule.warmup_steps, 500);
  EXPECT_EQ(c.ema.enabled, Switch::Off);
}

TEST_F(ConfigTest, ResolveKeepsWhatIsGivenAndRefusesOtherRanks) {
  TrainConfig c =
      train({"--learning_rate", "3e-4", "--lr_warmup_steps", "0", "--ema.enabled", "off", "--num_gpus", "2"});
  TrainConfig other = c;
  (void)resolve(c, 2, false);
  EXPECT_EQ(c.optimizer.learning_rate, 3e-4);
  EXPECT_EQ(c.schedule.warmup_steps, 0);
  EXPECT_EQ(c.ema.enabled, Switch::Off);
  expect_has(refusal([&] { (void)resolve(other, 4, false); }), "num_gpus is 2, but the launcher started 4 ranks");
  TrainConfig tf32 = train({"--precision", "tf32"});
  expect_has(refusal([&] { (void)resolve(tf32, 1, false); }), "tf32 exists on CUDA only");
}

}  // namespace
}  // namespace ldmpi::config
