// Limits of control groups, from made-up files of both versions.

#include "base/control_group.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace ldmpi {
namespace {

class ControlGroup : public ::testing::Test {
 protected:
  ~ControlGroup() override { std::filesystem::remove_all(root_); }
  void write(const std::filesystem::path& name, const std::string& text) const {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  const std::filesystem::path root_ =
      std::filesystem::temp_directory_path() / ("ldmpi_control_group_" + std::to_string(getpid()));
  const ControlGroupPlaces places_{root_ / "membership", root_ / "fs"};
};

TEST_F(ControlGroup, NothingIsNoLimit) {
  EXPECT_FALSE(control_group_memory(places_).has_value());
  write("membership", "0::/\n");
  write("fs/memory.max", "max\n");
  write("fs/cpu.max", "max 100000\n");
  EXPECT_FALSE(control_group_memory(places_).has_value());
  EXPECT_FALSE(control_group_processors(places_).has_value());
}

TEST_F(ControlGroup, VersionTwoTakesTheTightestOfAllGroupsAround) {
  write("membership", "0::/job/step\n");
  write("fs/job/step/memory.max", "max\n");
  write("fs/job/memory.max", "1000\n");
  write("fs/job/memory.current", "700\n");
  write("fs/job/memory.stat", "anon 300\ninactive_file 100\nactive_file 5\n");
  EXPECT_EQ(control_group_memory(places_), 400);
  write("fs/job/step/memory.max", "2000\n");
  write("fs/job/step/memory.current", "1900\n");
  EXPECT_EQ(control_group_memory(places_), 100);
  write("fs/job/step/memory.current", "2100\n");
  EXPECT_EQ(control_group_memory(places_), 0);
  write("fs/job/step/cpu.max", "400000 100000\n");
  write("fs/job/cpu.max", "150000 100000\n");
  EXPECT_EQ(control_group_processors(places_), 1.5);
}

TEST_F(ControlGroup, VersionOneHasAHierarchyForEachController) {
  write("membership", "9:name=systemd:/\n4:memory:/outer/inner\n3:cpu,cpuacct:/outer\n0::/\n");
  write("fs/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("fs/memory/outer/memory.limit_in_bytes", "5000\n");
  write("fs/memory/outer/memory.usage_in_bytes", "2000\n");
  write("fs/memory/outer/memory.stat", "inactive_file 1\ntotal_inactive_file 500\n");
  EXPECT_EQ(control_group_memory(places_), 3500);
  write("fs/cpu/cpu.cfs_quota_us", "-1\n");
  write("fs/cpu/outer/cpu.cfs_quota_us", "50000\n");
  write("fs/cpu/outer/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(control_group_processors(places_), 0.5);
}

}  // namespace
}  // namespace ldmpi
