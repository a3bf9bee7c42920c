#include "train/rank_probe.h"

#include <cmath>
#include <cstdlib>

#include "fixture.h"

namespace ldmpi::train::test {
namespace {

double at(const RankValues& values, RankValue which) {
  return values[static_cast<std::size_t>(which)];
}

StepTotals two_steps() {
  StepTotals totals;
  totals.steps = 2;
  totals.data_wait = 0.01;
  totals.phases = {0, 0.03, 0.05, 0.2, 0.1};
  return totals;
}

TEST(RankProbe, OnTheCpuAsksNoDriver) {
  const auto values = RankProbe("", "no such library").values(two_steps());
  EXPECT_DOUBLE_EQ(at(values, RankValue::ComputeMs), 40);
  EXPECT_DOUBLE_EQ(at(values, RankValue::DataWaitMs), 5);
  EXPECT_GT(at(values, RankValue::ResidentMib), 1);
  EXPECT_TRUE(std::isnan(at(values, RankValue::GpuPowerW)));
}

TEST(RankProbe, SaysWhatTheDriverSaysOfItsGpu) {
  Scratch scratch;
  put(scratch / "machine", "gpus 2\n1.bus 23\n1.utilization 97\n1.power_mw 402250\n1.temperature 61\n1.free_mib 81000\n");
  ::setenv("STAND_IN_NVML", (scratch / "machine").c_str(), 1);
  const auto values = RankProbe("0000:17:00.0", NVML_NEW).values(two_steps());
  EXPECT_EQ(at(values, RankValue::GpuUtilisation), 97);
  EXPECT_DOUBLE_EQ(at(values, RankValue::GpuPowerW), 402.25);
  EXPECT_EQ(at(values, RankValue::GpuTemperatureC), 61);
  EXPECT_EQ(at(values, RankValue::GpuMemoryMib), 81559 - 81000);
  EXPECT_TRUE(std::isnan(at(RankProbe("0000:99:00.0", NVML_NEW).values({}), RankValue::GpuPowerW))) << "another GPU";
}

TEST(RankProbe, WithoutADriverWarnsAndGoesOn) {
  testing::internal::CaptureStderr();
  RankProbe probe("0000:17:00.0", "no such library");
  EXPECT_NE(testing::internal::GetCapturedStderr().find("are not recorded"), std::string::npos);
  EXPECT_TRUE(std::isnan(at(probe.values({}), RankValue::GpuUtilisation)));
}

TEST(RankValues, SpreadKnowsWhoIsAtTheTop) {
  RankValues a{}, b{}, c{};
  a[0] = 3;
  b[0] = std::nan("");
  c[0] = 8;
  const std::vector<RankValues> ranks{a, b, c, a};
  const auto spread = spread_of(ranks, RankValue::ComputeMs);
  EXPECT_EQ(spread.ranks, 3);
  EXPECT_EQ(spread.min, 3);
  EXPECT_EQ(spread.median, 3);
  EXPECT_EQ(spread.max, 8);
  EXPECT_EQ(spread.max_rank, 2);
}

}  // namespace
}  // namespace ldmpi::train::test
