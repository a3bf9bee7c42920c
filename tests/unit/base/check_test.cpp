#include "base/check.h"

#include <gtest/gtest.h>

#include "base/handle.h"

namespace ldmpi {
namespace {

TEST(Check, RequireThrowsTheCodeAndTheFormattedMessage) {
  EXPECT_NO_THROW(require(true, Exit::BadData, "unused {}", 1));
  try {
    require(false, Exit::BadConfig, "{} must be below {}", "x", 3);
    FAIL() << "require(false) returned";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::BadConfig);
    EXPECT_STREQ(error.what(), "x must be below 3");
  }
}

TEST(Check, AFailedInvariantNamesExpressionAndFile) {
  const int two = 2;
  LDMPI_CHECK(two == 2, "fine");
  try {
    LDMPI_CHECK(two == 3, "two is {}", two);
    FAIL() << "the check did not throw";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::Internal);
    for (const char* part : {"two == 3", "two is 2", "check_test.cpp"})
      EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
  }
}

int destroyed = 0;  // the sum of the values given back
void destroy(int value) {
  destroyed += value;
}
using Number = Handle<int, destroy>;

TEST(HandleTest, GivesItsValueBackOnce) {
  destroyed = 0;
  {
    Number a(1);
    Number b(std::move(a));
    EXPECT_EQ(b.get(), 1);
    Number c(10);
    c = std::move(b);
    EXPECT_EQ(destroyed, 10);
    Number released(100);
    EXPECT_EQ(released.release(), 100);
  }
  EXPECT_EQ(destroyed, 11);
}

}  // namespace
}  // namespace ldmpi
