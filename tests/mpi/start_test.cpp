// What ranks find out about each other before they train: shares of the cores, and whether all of it fits.

#include <gtest/gtest.h>
#include <sched.h>

#include "base/check.h"
#include "comm/agree.h"
#include "comm/cores.h"
#include "comm/locality.h"
#include "ranks.h"
#include "train/memory_check.h"

namespace ldmpi {
namespace {

using test::ranks;
using train::check_memory;

TEST(Locality, RanksOfOneMachineAreNumberedInOrder) {
  const auto place = comm::locality();
  EXPECT_EQ(place.rank, ranks().rank());
  EXPECT_EQ(place.ranks, ranks().size());
}

TEST(Cores, RanksThatAreNotBoundShareThem) {
  EXPECT_EQ(comm::cores_of_rank(ranks()), std::max(1, comm::allotted_cores() / ranks().size()));
}

TEST(Cores, RanksThatAreBoundKeepTheirOwn) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &before)) cores.push_back(core);
  if (cores.size() < 2) GTEST_SKIP() << "one core cannot be divided";
  // Rank 0 gets a core of its own, the others share another one.
  cpu_set_t mine;
  CPU_ZERO(&mine);
  CPU_SET(cores[ranks().rank() == 0 ? 0 : 1], &mine);
  ASSERT_EQ(sched_setaffinity(0, sizeof mine, &mine), 0);
  EXPECT_EQ(comm::cores_of_rank(ranks()), 1);
  // Rank 0 as before, the others without a bound: they overlap with rank 0 and with each other.
  if (ranks().rank() != 0) {
    ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  }
  const auto share = static_cast<int>(cores.size()) / ranks().size();
  EXPECT_EQ(comm::cores_of_rank(ranks()), ranks().rank() == 0 ? 1 : std::max(1, share));
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

/// A device of which only the free memory is asked.
class MemoryOnly final : public backend::Device {
 public:
  explicit MemoryOnly(backend::FreeMemory free) : free_(free) {}
  [[nodiscard]] backend::FreeMemory free_memory() const override { return free_; }
  [[nodiscard]] std::unique_ptr<backend::Memory> allocate(std::size_t) override { return nullptr; }
  [[nodiscard]] backend::KernelPtr make_kernel(const ir::Op&, const backend::NodeTypes&) override { return nullptr; }
  void upload(void*, const void*, std::size_t) override {}
  void download(void*, const void*, std::size_t) override {}
  void copy(void*, const void*, std::size_t) override {}
  [[nodiscard]] std::unique_ptr<backend::Recording> record(const std::function<void()>&) override { return nullptr; }
  [[nodiscard]] std::unique_ptr<backend::Marks> make_marks(std::size_t) override { return nullptr; }
  [[nodiscard]] bool idle() override { return true; }
  void synchronize() override {}
  [[nodiscard]] std::string description() const override { return "none"; }

 private:
  backend::FreeMemory free_;
};

TEST(MemoryCheck, RanksOfAHostAreSummed) {
  const std::int64_t size = ranks().size();
  const MemoryOnly host({.bytes = 100 * size, .of_host = true});
  const auto advice = [](std::int64_t bytes) { return fmt::format("a rank may have {} bytes", bytes); };
  check_memory(host, ranks(), 100, advice);
  try {
    check_memory(host, ranks(), ranks().rank() == 0 ? 101 : 100, advice);
    ADD_FAILURE() << "one byte too much";
  } catch (const comm::AgreedError& error) {
    EXPECT_EQ(error.code(), Exit::NoDevice);
    const std::string text = error.what();
    EXPECT_NE(text.find(fmt::format("{} ranks there need {} B, and {} B are free", size, 100 * size + 1, 100 * size)),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("a rank may have 100 bytes"), std::string::npos) << text;
    EXPECT_EQ(ranks().broadcast_text(text, 0), text);
  }
}

TEST(MemoryCheck, EachRankHasADeviceOfItsOwn) {
  const auto advice = [](std::int64_t bytes) { return std::to_string(bytes); };
  check_memory(MemoryOnly({.bytes = 100, .of_host = false}), ranks(), 100, advice);
  const bool odd = ranks().rank() == ranks().size() - 1;
  EXPECT_THROW(check_memory(MemoryOnly({.bytes = odd ? 99 : 100, .of_host = false}), ranks(), 100, advice),
               comm::AgreedError);
}

}  // namespace
}  // namespace ldmpi
