#include "base/log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/check.h"

namespace ldmpi {
namespace {

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override {
    log::close_file();
    log::set_rank(0, 1);
    log::set_level(log::Level::Info);
    std::filesystem::remove(path_);
  }
  static std::string stderr_of(auto&& action) {
    ::testing::internal::CaptureStderr();
    action();
    log::flush();
    return ::testing::internal::GetCapturedStderr();
  }
  [[nodiscard]] std::string file() const {
    std::ifstream in(path_);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / fmt::format("ldmpi_log_test_{}.txt", getpid());
};

TEST_F(LogTest, RankZeroSpeaksFromItsLevelOn) {
  EXPECT_EQ(stderr_of([] { log::info("step {}", 3); }), "step 3\n");
  EXPECT_EQ(stderr_of([] { log::debug("hidden"); }), "");
  EXPECT_EQ(stderr_of([] { log::warning("slow"); }), "warning: slow\n");
  log::set_level(log::Level::Error);
  EXPECT_EQ(stderr_of([] { log::warning("hidden"); }), "");
  log::set_level(log::Level::Debug);
  EXPECT_EQ(stderr_of([] { log::debug("seen"); }), "seen\n");
}

TEST_F(LogTest, OtherRanksSayOnlyErrorsWithTheirNumber) {
  log::set_rank(3, 4);
  EXPECT_EQ(stderr_of([] {
              log::info("hidden");
              log::warning("hidden");
              log::error("broken");
            }),
            "rank 3: error: broken\n");
}

TEST_F(LogTest, WhatAllRanksSayComesFromRankZeroWithoutANumber) {
  const auto say = [] { log::write_of_all(log::Level::Error, "broken everywhere"); };
  log::set_rank(0, 4);
  EXPECT_EQ(stderr_of(say), "error: broken everywhere\n");
  log::set_rank(3, 4);
  log::open_file(path_);
  EXPECT_EQ(stderr_of(say), "");
  EXPECT_NE(file().find("broken everywhere"), std::string::npos);
}

TEST_F(LogTest, TheFileGetsEverythingFromInfoAndIsAppendedTo) {
  (void)stderr_of([&] {
    log::set_rank(1, 2);
    log::set_level(log::Level::Error);
    log::open_file(path_);
    log::debug("not in the file");
    log::info("first");
    log::close_file();
    log::info("while closed");
    log::open_file(path_);
    log::warning("second");
    log::flush();
  });
  const auto text = file();
  EXPECT_NE(text.find("first"), std::string::npos);
  EXPECT_NE(text.find("second"), std::string::npos);
  EXPECT_EQ(text.find("not in the file"), std::string::npos);
  EXPECT_EQ(text.find("while closed"), std::string::npos);
}

TEST_F(LogTest, AFileThatCannotBeOpenedIsAnError) {
  try {
    log::open_file("/proc/self/nowhere/log.txt");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::CannotCreate);
    EXPECT_NE(std::string_view(error.what()).find("/proc/self/nowhere/log.txt"), std::string_view::npos);
  }
}

}  // namespace
}  // namespace ldmpi
