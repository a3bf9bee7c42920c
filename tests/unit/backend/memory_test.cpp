#include "backend/cpu/memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "base/check.h"

namespace ldmpi::test {
namespace {

using backend::cpu::allocate_memory;
using backend::cpu::available_memory;

TEST(Memory, IsAlignedAndZero) {
  for (std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{4097}, (std::size_t{5} << 20) + 3}) {
    const auto memory = allocate_memory(bytes);
    ASSERT_NE(memory->data(), nullptr);
    EXPECT_EQ(memory->bytes(), bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory->data()) % (2 << 20), 0U);
    const auto* data = static_cast<const char*>(memory->data());
    EXPECT_TRUE(std::all_of(data, data + bytes, [](char c) { return c == 0; }));
  }
}

TEST(Memory, WritingFaultsNoPages) {
  const std::size_t bytes = std::size_t{24} << 20;
  const auto memory = allocate_memory(bytes);
  const auto faults = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  };
  const long before = faults();
  std::memset(memory->data(), 1, bytes);
  EXPECT_LT(faults() - before, 16);  // 6144 pages would be 4 KiB each
}

TEST(Memory, MoreThanThereIsNamesBytesWantedAndFree) {
  const std::size_t wanted = std::size_t{1} << 46;
  ASSERT_GT(available_memory(), std::size_t{1} << 20);
  try {
    (void)allocate_memory(wanted);
    FAIL() << "64 TiB were allocated";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::NoDevice);
    EXPECT_NE(std::string(error.what()).find(std::to_string(wanted)), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("are free"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace ldmpi::test
