// The GPU monitor over stand-in libraries (tests/nvml): every reading, and what a driver or a GPU may do wrong.

#include "backend/gpu_monitor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/check.h"

namespace ldmpi::backend {
namespace {

class Monitor : public ::testing::Test {
 protected:
  Monitor() { setenv("STAND_IN_NVML", file_.c_str(), 1); }
  ~Monitor() override { std::filesystem::remove(file_); }
  /// Describes the machine anew.
  void machine(const std::string& lines) const { std::ofstream(file_) << lines; }
  static std::string refusal(const std::string& library) {
    try {
      (void)make_gpu_monitor(library);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Exit::NoDevice);
      return error.what();
    }
    return "no error";
  }

 private:
  std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / ("ldmpi_gpu_monitor_" + std::to_string(getpid()));
};

TEST_F(Monitor, TellsWhatTheDriverKnows) {
  machine(
      "gpus 2\ndriver 550.54.15\ncuda 12040\n1.name NVIDIA A100-SXM4-80GB\n1.bus 23\n1.utilization 97\n"
      "1.power_mw 402250\n1.temperature 61\n1.clock 1410\n1.free_mib 1024\n1.uuid GPU-abc\n");
  const auto monitor = make_gpu_monitor(NVML_NEW);
  EXPECT_EQ(monitor->driver_version(), "550.54.15");
  EXPECT_EQ(monitor->cuda_version(), 12040);
  ASSERT_EQ(monitor->gpus().size(), 2U);
  EXPECT_EQ(monitor->gpus()[0].name, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(monitor->gpus()[1].name, "NVIDIA A100-SXM4-80GB");
  EXPECT_EQ(monitor->gpus()[1].bus_id, "0000:17:00.0");
  EXPECT_EQ(monitor->gpus()[1].memory_bytes, std::int64_t{81559} << 20);
  EXPECT_TRUE(monitor->gpus()[1].trouble.empty());
  EXPECT_EQ(monitor->find("0000:17:00.0"), 1);
  EXPECT_EQ(monitor->find("GPU-abc"), 1);
  EXPECT_EQ(monitor->find("0000:99:00.0"), std::nullopt);
  EXPECT_EQ(monitor->find(""), std::nullopt);
  const auto sample = monitor->sample(1);
  EXPECT_EQ(sample.trouble, "");
  EXPECT_EQ(sample.utilization, 97);
  EXPECT_DOUBLE_EQ(*sample.power_watts, 402.25);
  EXPECT_DOUBLE_EQ(*sample.power_limit_watts, 700);
  EXPECT_EQ(sample.temperature_celsius, 61);
  EXPECT_EQ(sample.clock_mhz, 1410);
  EXPECT_EQ(sample.memory_clock_mhz, 2619);
  EXPECT_EQ(sample.memory_free_bytes, std::int64_t{1} << 30);
  EXPECT_TRUE(sample.slowed_by.empty());  // idle
  const auto health = monitor->health(1);
  EXPECT_EQ(health.persistence, true);
  EXPECT_EQ(health.ecc, true);
  EXPECT_EQ(health.uncorrected_errors, 0);
  EXPECT_EQ(health.remap_pending, false);
  EXPECT_EQ(health.full_clock_mhz, 1980);
  EXPECT_EQ(health.nvlinks, 18);
  EXPECT_TRUE(monitor->path(0, 1).peer);
  EXPECT_EQ(monitor->path(0, 1).topology, "NVLink");
  EXPECT_TRUE(monitor->take_events().empty());
}

TEST_F(Monitor, FaultsOfAGpuWhileItRuns) {
  machine("gpus 2\n");
  const auto monitor = make_gpu_monitor(NVML_NEW);
  EXPECT_TRUE(monitor->sample(0).slowed_by.empty());
  machine(
      "gpus 2\n0.slowed 0x48\n1.slowed 0x8\n0.corrected 3\n0.uncorrected 2\n0.remap_pending 1\n0.remap_failed 1\n"
      "0.persistence 0\npeer 5\ntopology 50\n0.nvlinks none\n1.xid 79\n");
  EXPECT_EQ(monitor->sample(0).slowed_by, std::vector<std::string_view>{"heat (hardware)"});
  EXPECT_EQ(monitor->sample(1).slowed_by, std::vector<std::string_view>{"hardware slowdown"});
  const auto health = monitor->health(0);
  EXPECT_EQ(health.corrected_errors, 3);
  EXPECT_EQ(health.uncorrected_errors, 2);
  EXPECT_EQ(health.remap_pending, true);
  EXPECT_EQ(health.remap_failed, true);
  EXPECT_EQ(health.persistence, false);
  EXPECT_EQ(health.nvlinks, 0);
  EXPECT_FALSE(monitor->path(0, 1).peer);
  EXPECT_EQ(monitor->path(0, 1).topology, "sockets");
  const auto events = monitor->take_events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].gpu, 1);
  EXPECT_EQ(events[0].xid, 79);
  EXPECT_TRUE(monitor->take_events().empty());
  machine("gpus 2\n1.error 15\n");
  EXPECT_EQ(monitor->sample(1).trouble, "GPU is lost");
  EXPECT_FALSE(monitor->sample(1).utilization.has_value());
  EXPECT_EQ(monitor->sample(0).trouble, "");
}

TEST_F(Monitor, WhatAGpuDoesNotTellIsAbsent) {
  machine("gpus 1\n0.power_mw none\n0.ecc none\n0.corrected none\n0.uncorrected none\n0.utilization none\n");
  const auto monitor = make_gpu_monitor(NVML_NEW);
  EXPECT_EQ(monitor->gpus()[0].trouble, "");
  const auto sample = monitor->sample(0);
  EXPECT_FALSE(sample.power_watts.has_value());
  EXPECT_FALSE(sample.utilization.has_value());
  EXPECT_TRUE(sample.temperature_celsius.has_value());
  EXPECT_FALSE(monitor->health(0).ecc.has_value());
  EXPECT_FALSE(monitor->health(0).uncorrected_errors.has_value());
}

TEST_F(Monitor, AGpuLostBeforeTheStartDoesNotHideTheOthers) {
  machine("gpus 2\n0.error 15\n");
  const auto monitor = make_gpu_monitor(NVML_NEW);
  ASSERT_EQ(monitor->gpus().size(), 2U);
  EXPECT_EQ(monitor->gpus()[0].trouble, "GPU is lost");
  EXPECT_EQ(monitor->sample(0).trouble, "GPU is lost");
  EXPECT_EQ(monitor->sample(1).trouble, "");
}

TEST_F(Monitor, AnOldDriverTellsLess) {
  machine("gpus 1\n0.slowed 0x40\n0.xid 79\n0.remap_failed 1\n");
  const auto monitor = make_gpu_monitor(NVML_OLD);
  EXPECT_TRUE(monitor->sample(0).slowed_by.empty());
  EXPECT_TRUE(monitor->sample(0).power_watts.has_value());
  EXPECT_FALSE(monitor->health(0).remap_failed.has_value());
  EXPECT_TRUE(monitor->take_events().empty());
}

TEST_F(Monitor, SaysWhyThereIsNone) {
  EXPECT_NE(refusal("libno-such-nvml.so.1").find("libno-such-nvml.so.1"), std::string::npos);
  EXPECT_NE(refusal("libm.so.6").find("libm.so.6 has no nvmlInit_v2"), std::string::npos);
  machine("init 9\n");
  EXPECT_NE(refusal(NVML_NEW).find("Driver Not Loaded. Load it"), std::string::npos);
  machine("init 18\n");
  EXPECT_NE(refusal(NVML_NEW).find("restart the machine"), std::string::npos);
}

TEST(Xid, KnowsWhoIsToBlame) {
  EXPECT_FALSE(meaning_of_xid(31).of_hardware);
  EXPECT_TRUE(meaning_of_xid(79).of_hardware);
  EXPECT_TRUE(meaning_of_xid(48).of_hardware);
}

}  // namespace
}  // namespace ldmpi::backend
