// Exceptions and results of the body as exit codes, and the phases of agree, on one rank.

#include "comm/run.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <new>
#include <thread>

#include "comm/agree.h"

namespace ldmpi::comm {
namespace {

int run(const std::function<int(Communicator&)>& body) {
  return run_ranks(Environment{}, body);
}

TEST(Run, ResultsAndExceptionsBecomeExitCodes) {
  EXPECT_EQ(run([](Communicator&) { return 0; }), 0);
  EXPECT_EQ(run([](Communicator&) { return 75; }), 75);
  EXPECT_EQ(run([](Communicator&) -> int { fail(Exit::BadData, "bad shard"); }), 65);
  EXPECT_EQ(run([](Communicator&) -> int { throw AgreedError(Exit::CannotCreate, "in use"); }), 73);
  EXPECT_EQ(run([](Communicator&) -> int { throw std::logic_error("surprise"); }), 70);
  EXPECT_EQ(run([](Communicator&) -> int { throw 3; }), 70);
}

TEST(Run, SystemErrorsKeepTheirMeaning) {
  const auto code = [](std::errc error) {
    return describe(std::make_exception_ptr(
                        std::filesystem::filesystem_error("open", "/data/x", std::make_error_code(error))))
        .code;
  };
  EXPECT_EQ(code(std::errc::permission_denied), Exit::NoPermission);
  EXPECT_EQ(code(std::errc::no_such_file_or_directory), Exit::MissingInput);
  EXPECT_EQ(code(std::errc::no_space_on_device), Exit::IoError);
  const Failure memory = describe(std::make_exception_ptr(std::bad_alloc()));
  EXPECT_EQ(memory.code, Exit::Internal);
  EXPECT_NE(memory.message.find("out of host memory"), std::string::npos);
}

TEST(RunDeathTest, ExceptionThatLeavesAThread) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(run([](Communicator&) -> int {
                std::thread([] { fail(Exit::IoError, "disk full"); }).join();
                return 0;
              }),
              testing::ExitedWithCode(74), "disk full");
}

TEST(Agree, OneRank) {
  run([](Communicator& communicator) {
    EXPECT_EQ(agree(communicator, [] { return std::string("opened"); }), "opened");
    agree(communicator, [] {});
    EXPECT_THROW(agree(communicator, [] { fail(Exit::MissingInput, "no file"); }), Error);
    agree_equal(communicator, "their build", "x", "");
    return 0;
  });
}

TEST(Solo, CollectivesKeepTheBuffer) {
  run([](Communicator& communicator) {
    EXPECT_EQ(communicator.size(), 1);
    double values[3] = {1, 2, 3};
    auto request = communicator.start_all_reduce(values, 3, DType::F64);
    EXPECT_TRUE(request->test());
    EXPECT_EQ(values[2], 3);
    EXPECT_EQ(communicator.all_reduce_sum(std::int64_t{5}), 5);
    EXPECT_EQ(communicator.broadcast_text("abc", 0), "abc");
    EXPECT_EQ(communicator.all_gather_text("abc"), std::vector<std::string>{"abc"});
    EXPECT_EQ(communicator.gather("abc", 0), std::vector<std::string>{"abc"});
    const Traffic traffic = communicator.traffic(Collective::AllReduce);
    EXPECT_EQ(traffic.buffer_bytes, 24U);
    EXPECT_EQ(traffic.sent_bytes, 0U);
    return 0;
  });
}

}  // namespace
}  // namespace ldmpi::comm
