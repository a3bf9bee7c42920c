// Phases that fail on some ranks end alike on all of them.

#include "comm/agree.h"

#include <gtest/gtest.h>

#include "ranks.h"

namespace ldmpi::comm {
namespace {

using test::ranks;

/// Code and message that `f` throws as AgreedError; must be equal on all ranks.
template <typename F>
Failure agreed_failure(F&& f) {
  try {
    f();
  } catch (const AgreedError& e) {
    const std::string mine = e.what();
    EXPECT_EQ(ranks().broadcast_text(mine, 0), mine);
    return {e.code(), mine};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

bool has(const Failure& failure, const std::string& words) {
  return failure.message.find(words) != std::string::npos;
}

TEST(Agree, SuccessReturnsTheResult) {
  const std::string text = agree(ranks(), [] { return "rank " + std::to_string(ranks().rank()); });
  EXPECT_EQ(text, "rank " + std::to_string(ranks().rank()));
  const auto pointer = agree(ranks(), [] { return std::make_unique<int>(3); });  // only movable
  EXPECT_EQ(*pointer, 3);
  agree(ranks(), [] {});
}

TEST(Agree, OneRankFails) {
  const int last = ranks().size() - 1;
  const Failure failure = agreed_failure([&] {
    agree(ranks(), [&] {
      if (ranks().rank() == last) fail(Exit::MissingInput, "no file shard-7.h5");
    });
  });
  EXPECT_EQ(failure.code, Exit::MissingInput);
  EXPECT_TRUE(has(failure, "rank " + std::to_string(last) + " on " + ranks().hosts().back() + ": no file shard-7.h5"))
      << failure.message;
  EXPECT_FALSE(has(failure, "failed as well")) << failure.message;
  EXPECT_EQ(ranks().all_reduce_sum(std::int64_t{1}), ranks().size());  // all are in step again
}

TEST(Agree, TheLowestFailingRankSpeaks) {
  const Failure failure = agreed_failure([] {
    agree(ranks(), [] {
      if (ranks().rank() == 0) throw std::out_of_range("surprise");
      fail(Exit::BadData, "damaged, seen by {}", ranks().rank());
    });
  });
  EXPECT_EQ(failure.code, Exit::Internal);
  EXPECT_TRUE(has(failure, "rank 0 on ") && has(failure, "surprise")) << failure.message;
  EXPECT_TRUE(has(failure, ranks().size() == 2 ? "failed as well: rank 1)" : "failed as well: rank 1, 2, 3)"))
      << failure.message;
}

TEST(Agree, WhatAllRanksSayIsSaidOnceWithoutTheirNames) {
  const Failure failure =
      agreed_failure([] { agree(ranks(), [] { fail(Exit::BadConfig, "unknown option --sede"); }); });
  EXPECT_EQ(failure.code, Exit::BadConfig);
  EXPECT_EQ(failure.message, "unknown option --sede");
}

TEST(Agree, PhasesMayNest) {
  const Failure failure = agreed_failure([] {
    agree(ranks(), [] {
      agree(ranks(), [] {
        if (ranks().rank() == 1) fail(Exit::IoError, "disk full");
      });
    });
  });
  EXPECT_EQ(failure.code, Exit::IoError);
  EXPECT_EQ(failure.message, "rank 1 on " + ranks().hosts()[1] + ": disk full");
}

TEST(AgreeEqual, OddRanksAreNamed) {
  agree_equal(ranks(), "their build", "a", "");
  const int odd = ranks().size() - 1;
  const Failure failure = agreed_failure([&] {
    agree_equal(ranks(), "their device type", ranks().rank() == odd ? "H100" : "A100", "Use one kind.", Exit::NoDevice);
  });
  EXPECT_EQ(failure.code, Exit::NoDevice);
  EXPECT_EQ(failure.message, "the ranks differ in their device type: most have 'A100'; rank " + std::to_string(odd) +
                                 " on " + ranks().hosts().back() + " has 'H100'. Use one kind.");
}

}  // namespace
}  // namespace ldmpi::comm
