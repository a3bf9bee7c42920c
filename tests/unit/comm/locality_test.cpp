#include "comm/locality.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <fstream>
#include <thread>

namespace ldmpi::comm {
namespace {

/// A folder as the system's, of one device; the affinity of before comes back.
class NearDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(devices_ / "0000:c1:00.0");
    ASSERT_EQ(sched_getaffinity(0, sizeof before_, &before_), 0);
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &before_)) allowed_.push_back(core);
  }
  void TearDown() override {
    sched_setaffinity(0, sizeof before_, &before_);
    std::filesystem::remove_all(devices_);
  }
  int stay(const std::string& list) {
    std::ofstream(devices_ / "0000:c1:00.0" / "local_cpulist") << list << '\n';
    return stay_near("0000:C1:00.0", devices_);
  }
  static std::vector<int> cores_of_new_thread() {
    std::vector<int> cores;
    std::thread([&] {
      cpu_set_t set;
      sched_getaffinity(0, sizeof set, &set);
      for (int core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &set)) cores.push_back(core);
    }).join();
    return cores;
  }

  std::filesystem::path devices_ = std::filesystem::temp_directory_path() / ("near-" + std::to_string(getpid()));
  cpu_set_t before_{};
  std::vector<int> allowed_;
};

TEST_F(NearDevice, TakesTheAllowedOnesOfTheList) {
  const int last = allowed_.back();
  EXPECT_EQ(stay(std::to_string(last) + ",900-1000"), 1);
  EXPECT_EQ(cores_of_new_thread(), std::vector{last});
}

TEST_F(NearDevice, ReadsRanges) {
  EXPECT_EQ(stay("0-900,950"), static_cast<int>(allowed_.size()));
  EXPECT_EQ(cores_of_new_thread(), allowed_);
}

TEST_F(NearDevice, ChangesNothingWhereItCannotKnow) {
  for (const char* list : {"", "no list", "900-901", "5-", "-3", "1000000"}) {
    EXPECT_EQ(stay(list), 0) << list;
    EXPECT_EQ(cores_of_new_thread(), allowed_) << list;
  }
  EXPECT_EQ(stay_near("0000:00:1f.0", devices_), 0);
}

}  // namespace
}  // namespace ldmpi::comm
