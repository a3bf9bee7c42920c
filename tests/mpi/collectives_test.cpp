// Every collective over real MPI, each type, odd sizes, small chunks and segments, many in flight.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <thread>

#include "base/check.h"
#include "comm/mpi.h"
#include "ranks.h"

namespace {
std::atomic<long> allocations;
}

// Counts what C++ code allocates; MPI's own C code does not come here.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace ldmpi::comm {
namespace {

using test::environment;
using test::ranks;
using test::tiny;

int size() {
  return ranks().size();
}
int me() {
  return ranks().rank();
}

/// Small integers: exact in every type, also as sums over the ranks.
double value(int rank, std::size_t i) {
  return static_cast<double>((rank * 5 + static_cast<int>(i % 31)) % 9 - 4);
}

void set(std::vector<std::byte>& buffer, std::size_t i, DType type, double x) {
  const auto f = static_cast<float>(x);
  const auto n = static_cast<std::int64_t>(x);
  if (type == DType::F64)
    std::memcpy(buffer.data() + i * 8, &x, 8);
  else if (type == DType::I64)
    std::memcpy(buffer.data() + i * 8, &n, 8);
  else
    convert_from_float(&f, type, buffer.data() + i * size_of(type), 1);
}

double get(const std::vector<std::byte>& buffer, std::size_t i, DType type) {
  double x = 0;
  float f = 0;
  std::int64_t n = 0;
  if (type == DType::F64) return std::memcpy(&x, buffer.data() + i * 8, 8), x;
  if (type == DType::I64) return std::memcpy(&n, buffer.data() + i * 8, 8), static_cast<double>(n);
  convert_to_float(buffer.data() + i * size_of(type), type, &f, 1);
  return f;
}

struct Case {
  DType type;
  std::size_t count;
  bool tiny_pieces;
};

class NonBlocking : public testing::TestWithParam<Case> {
 protected:
  Communicator& communicator() { return GetParam().tiny_pieces ? tiny() : ranks(); }
  std::vector<std::byte> filled(std::size_t total) {
    std::vector<std::byte> buffer(total * size_of(GetParam().type));
    for (std::size_t i = 0; i < total; ++i) set(buffer, i, GetParam().type, value(me(), i));
    return buffer;
  }
  double sum(std::size_t i) {
    double total = 0;
    for (int r = 0; r < size(); ++r) total += value(r, i);
    return total;
  }
};

TEST_P(NonBlocking, AllReduce) {
  const auto [type, count, pieces] = GetParam();
  auto buffer = filled(count);
  const Traffic before = communicator().traffic(Collective::AllReduce);
  auto request = communicator().start_all_reduce(buffer.data(), count, type);
  request->wait();
  EXPECT_TRUE(request->test());
  for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(get(buffer, i, type), sum(i)) << i;
  const Traffic after = communicator().traffic(Collective::AllReduce);
  EXPECT_EQ(after.calls - before.calls, 1U);
  EXPECT_EQ(after.buffer_bytes - before.buffer_bytes, count * size_of(type));
  EXPECT_EQ(after.sent_bytes - before.sent_bytes,
            sent_bytes(Collective::AllReduce, count, type, me(), size(), pieces ? test::kTiny : CommunicatorOptions{}));
}

TEST_P(NonBlocking, ReduceScatter) {
  const auto [type, count, pieces] = GetParam();
  auto buffer = filled(count * static_cast<std::size_t>(size()));
  communicator().start_reduce_scatter(buffer.data(), count, type)->wait();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = static_cast<std::size_t>(me()) * count + i;
    ASSERT_EQ(get(buffer, at, type), sum(at)) << i;
  }
}

TEST_P(NonBlocking, AllGather) {
  const auto [type, count, pieces] = GetParam();
  const std::size_t total = count * static_cast<std::size_t>(size());
  auto buffer = filled(total);
  communicator().start_all_gather(buffer.data(), count, type)->wait();
  for (std::size_t i = 0; i < total; ++i) ASSERT_EQ(get(buffer, i, type), value(static_cast<int>(i / count), i)) << i;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const DType type : {DType::F32, DType::F64, DType::BF16, DType::F16, DType::I64})
    for (const std::size_t count : {1, 3, 7, 129, 1001})
      for (const bool pieces : {false, true})
        if (!pieces || count < 1000) all.push_back({type, count, pieces});
  all.push_back({DType::F32, 3'000'001, false});  // several full segments, blocks of unequal length
  all.push_back({DType::BF16, 1'500'007, false});
  return all;
}

INSTANTIATE_TEST_SUITE_P(All, NonBlocking, testing::ValuesIn(cases()), [](const auto& test) {
  return std::string(name_of(test.param.type)) + "_" + std::to_string(test.param.count) +
         (test.param.tiny_pieces ? "_tiny" : "");
});

TEST(Overlap, SeveralInFlightWaitedInDifferentOrders) {
  constexpr std::size_t kRequests = 9;
  std::vector<std::vector<float>> buffers(kRequests);
  std::vector<std::unique_ptr<Request>> requests;
  for (std::size_t q = 0; q < kRequests; ++q) {
    buffers[q].resize(q % 3 == 0 ? 5 : 100'003 * (q + 1));
    requests.push_back(ranks().prepare_all_reduce(buffers[q].data(), buffers[q].size(), DType::F32));
  }
  for (int repeat = 0; repeat < 4; ++repeat) {
    for (std::size_t q = 0; q < kRequests; ++q) {
      for (std::size_t i = 0; i < buffers[q].size(); ++i)
        buffers[q][i] = static_cast<float>(value(me() + repeat, i + q));
      requests[q]->start();
    }
    // Even ranks wait forwards, odd ones backwards, with a blocking call between.
    for (std::size_t k = 0; k < kRequests; ++k) {
      requests[me() % 2 == 0 ? k : kRequests - 1 - k]->wait();
      if (k == 2) ranks().barrier();
    }
    for (std::size_t q = 0; q < kRequests; ++q)
      for (std::size_t i = 0; i < buffers[q].size(); ++i) {
        double expected = 0;
        for (int r = 0; r < size(); ++r) expected += value(r + repeat, i + q);
        ASSERT_EQ(buffers[q][i], expected) << "request " << q << " element " << i;
      }
  }
}

TEST(Overlap, PreparedRequestsRunWithoutAllocating) {
  std::vector<float> buffer(700'000);
  std::vector<std::unique_ptr<Request>> requests;
  for (int q = 0; q < 6; ++q) {
    float* slice = buffer.data() + q * 100'000;
    if (q % 3 == 0) requests.push_back(ranks().prepare_all_reduce(slice, 100'000, DType::F32));
    if (q % 3 == 1) requests.push_back(ranks().prepare_reduce_scatter(slice, 20'000, DType::F32));
    if (q % 3 == 2) requests.push_back(ranks().prepare_all_gather(slice, 20'000, DType::F32));
  }
  requests.push_back(ranks().prepare_all_reduce(buffer.data() + 600'000, 3, DType::F32));
  const long before = allocations;
  for (int repeat = 0; repeat < 3; ++repeat) {
    for (auto& request : requests) request->start();
    for (auto& request : requests) request->wait();
  }
  EXPECT_EQ(allocations, before);
  EXPECT_GT(before, 0);  // the counter counts
}

TEST(Overlap, BlockingCallsMoveWhatIsInFlight) {
  // Rank 0 goes straight into a blocking call; the others need its help to finish their request before they get there.
  std::vector<float> buffer(2'000'000, 1.0F);
  auto request = ranks().start_all_reduce(buffer.data(), buffer.size(), DType::F32);
  if (me() != 0) request->wait();
  EXPECT_EQ(ranks().all_reduce_sum(std::int64_t{1}), size());
  request->wait();
  EXPECT_EQ(buffer.front(), static_cast<float>(size()));
  EXPECT_EQ(buffer.back(), static_cast<float>(size()));
}

TEST(Overlap, TestingBetweenWorkFinishesIt) {
  std::vector<float> buffer(500'000, static_cast<float>(me()));
  auto request = ranks().start_all_reduce(buffer.data(), buffer.size(), DType::F32);
  int polls = 0;
  while (!request->test()) {
    std::this_thread::sleep_for(std::chrono::microseconds(100));
    ASSERT_LT(++polls, 100'000);
  }
  EXPECT_EQ(buffer[77], static_cast<float>(size() * (size() - 1) / 2));
}

TEST(Determinism, ShardedAndUnshardedSumsHaveEqualBitsOnAllRanks) {
  const std::size_t count = 10'007;
  const std::size_t total = count * static_cast<std::size_t>(size());
  for (const DType type : {DType::F32, DType::BF16, DType::F16}) {
    std::mt19937 random(static_cast<unsigned>(me()) + 1);
    std::normal_distribution<float> normal;
    std::vector<float> values(total);
    for (float& x : values) x = normal(random);
    std::vector<std::byte> whole(total * size_of(type));
    convert_from_float(values.data(), type, whole.data(), total);
    auto sharded = whole;
    auto again = whole;
    auto a = ranks().start_all_reduce(whole.data(), total, type);
    auto b = ranks().start_reduce_scatter(sharded.data(), count, type);
    b->wait();
    a->wait();
    ranks().start_all_gather(sharded.data(), count, type)->wait();
    ranks().start_all_reduce(again.data(), total, type)->wait();
    EXPECT_EQ(whole, sharded);
    EXPECT_EQ(whole, again);
    auto of_rank_0 = whole;
    ranks().broadcast(of_rank_0, 0);
    EXPECT_EQ(whole, of_rank_0);
  }
}

TEST(Blocking, Broadcast) {
  for (Communicator* c : {&ranks(), &tiny()}) {
    for (int root = 0; root < size(); ++root) {
      std::vector<std::byte> data(1003, std::byte{0});
      if (me() == root)
        for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7 + 3);
      c->broadcast(data, root);
      for (std::size_t i = 0; i < data.size(); ++i) ASSERT_EQ(data[i], static_cast<std::byte>(i * 7 + 3));
    }
    c->broadcast({}, 0);
  }
}

TEST(Blocking, AllGather) {
  for (Communicator* c : {&ranks(), &tiny()}) {
    for (const std::size_t n : {0, 1, 5, 333}) {
      const std::vector<std::byte> mine(n, static_cast<std::byte>(me() + 1));
      std::vector<std::byte> all(n * static_cast<std::size_t>(size()));
      c->all_gather(mine, all);
      for (std::size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], static_cast<std::byte>(i / n + 1));
    }
  }
}

TEST(Blocking, TextsOfDifferentLength) {
  const auto text_of = [](int rank) { return std::string(static_cast<std::size_t>(rank * 100), 'x') + "!"; };
  for (Communicator* c : {&ranks(), &tiny()}) {
    for (int root = 0; root < size(); ++root) {
      const auto texts = c->gather(me() == 0 ? "" : text_of(me()), root);
      if (me() != root) {
        EXPECT_TRUE(texts.empty());
      } else {
        ASSERT_EQ(texts.size(), static_cast<std::size_t>(size()));
        for (int r = 0; r < size(); ++r) EXPECT_EQ(texts[static_cast<std::size_t>(r)], r == 0 ? "" : text_of(r));
      }
      EXPECT_EQ(c->broadcast_text(me() == root ? text_of(root + 1) : "ignored", root), text_of(root + 1));
    }
    const auto texts = c->all_gather_text(text_of(me()));
    for (int r = 0; r < size(); ++r) EXPECT_EQ(texts[static_cast<std::size_t>(r)], text_of(r));
  }
}

TEST(Blocking, Reductions) {
  for (Communicator* c : {&ranks(), &tiny()}) {
    std::vector<std::int64_t> whole(17);
    std::vector<double> real(17);
    for (const Reduction reduction : {Reduction::Min, Reduction::Max, Reduction::Sum}) {
      for (std::size_t i = 0; i < whole.size(); ++i) {
        whole[i] = static_cast<std::int64_t>(i) * 1'000'000'000'000 + me();
        real[i] = static_cast<double>(i) + me() * 0.5;
      }
      c->all_reduce(whole, reduction);
      c->all_reduce(real, reduction);
      const int n = size();
      for (std::size_t i = 0; i < whole.size(); ++i) {
        const auto base = static_cast<std::int64_t>(i) * 1'000'000'000'000;
        const auto x = static_cast<double>(i);
        const int last = n - 1;
        switch (reduction) {
          case Reduction::Min:
            ASSERT_EQ(whole[i], base);
            ASSERT_EQ(real[i], x);
            break;
          case Reduction::Max:
            ASSERT_EQ(whole[i], base + last);
            ASSERT_EQ(real[i], x + last * 0.5);
            break;
          case Reduction::Sum:
            ASSERT_EQ(whole[i], n * base + n * last / 2);
            ASSERT_EQ(real[i], n * x + n * last / 2 * 0.5);
            break;
        }
      }
    }
    EXPECT_EQ(c->all_reduce_max(me() * 1.5), (size() - 1) * 1.5);
    EXPECT_EQ(c->all_reduce_min(std::int64_t{me()} - 3), -3);
  }
}

TEST(World, RanksAndHosts) {
  EXPECT_EQ(me(), environment().rank);
  EXPECT_EQ(size(), environment().ranks);
  ASSERT_EQ(ranks().hosts().size(), static_cast<std::size_t>(size()));
  EXPECT_EQ(ranks().hosts()[static_cast<std::size_t>(me())], environment().host);
  Environment wrong = environment();
  wrong.ranks += 1;
  EXPECT_THROW((void)make_communicator(wrong), Error);
}

}  // namespace
}  // namespace ldmpi::comm
