// The rings and straight messages of the non-blocking collectives, many ranks in one process over a network that
// delivers late and in any order between pairs.

#include "comm/exchange.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <tuple>
#include <vector>

#include "base/check.h"
#include "comm/sum.h"

namespace ldmpi::comm {
namespace {

struct Message {
  const std::byte* from = nullptr;
  std::byte* to = nullptr;
  std::size_t size = 0;
  bool sent = false;
  bool received = false;
};

/// Copies a message only when both ends are posted and a coin says so: buffers that change too early show.
class Network {
 public:
  using Key = std::tuple<int, int, int>;  // from, to, tag

  struct Pair {
    std::deque<std::size_t> sends;
    std::deque<std::size_t> receives;
  };

  std::size_t post(Key key, bool is_send, const std::byte* from, std::byte* to, std::size_t size) {
    ends_.push_back({from, to, size, false, false});
    auto& pair = pairs_[key];
    (is_send ? pair.sends : pair.receives).push_back(ends_.size() - 1);
    return ends_.size() - 1;
  }

  void deliver() {
    for (auto& [key, pair] : pairs_) {
      while (!pair.sends.empty() && !pair.receives.empty() && random_() % 3 != 0) {
        Message& out = ends_[pair.sends.front()];
        Message& in = ends_[pair.receives.front()];
        if (out.size != in.size) throw std::logic_error("sizes of a message differ");
        std::memcpy(in.to, out.from, in.size);
        out.sent = in.received = true;
        bytes += out.size;
        pair.sends.pop_front();
        pair.receives.pop_front();
      }
    }
  }

  bool done(std::size_t handle) { return (ends_[handle].sent || ends_[handle].received) && random_() % 2 == 0; }

  std::size_t bytes = 0;

 private:
  std::map<Key, Pair> pairs_;
  std::deque<Message> ends_;
  std::mt19937 random_{7};
};

class Port final : public Transport {
 public:
  Port(Network& network, int rank) : network_(network), rank_(rank) {}
  int send(int peer, int tag, const std::byte* bytes, std::size_t size) override {
    return static_cast<int>(network_.post({rank_, peer, tag}, true, bytes, nullptr, size));
  }
  int receive(int peer, int tag, std::byte* bytes, std::size_t size) override {
    return static_cast<int>(network_.post({peer, rank_, tag}, false, nullptr, bytes, size));
  }
  bool done(int handle) override { return network_.done(static_cast<std::size_t>(handle)); }
  void abandon(int) override { ++abandoned; }
  int abandoned = 0;

 private:
  Network& network_;
  int rank_;
};

struct Cluster {
  Cluster(int ranks, const CommunicatorOptions& options) {
    for (int r = 0; r < ranks; ++r) ports.push_back(std::make_unique<Port>(network, r));
    for (int r = 0; r < ranks; ++r)
      exchanges.push_back(std::make_unique<Exchange>(*ports[static_cast<std::size_t>(r)], r, ranks, options));
  }
  /// Polls the ranks in turn until all requests are done; false if that takes forever.
  bool run(std::vector<std::unique_ptr<Request>>& requests) {
    for (int round = 0; round < 100000; ++round) {
      network.deliver();
      bool all = true;
      for (auto& request : requests) all &= request->test();
      if (all) return true;
    }
    return false;
  }
  Network network;
  std::vector<std::unique_ptr<Port>> ports;
  std::vector<std::unique_ptr<Exchange>> exchanges;
};

double value(int rank, std::size_t i) {
  return static_cast<double>((rank * 7 + static_cast<int>(i % 97) * 3) % 41 - 20);
}

using Case = std::tuple<int, std::size_t, std::size_t, std::size_t>;  // ranks, count, segment bytes, direct bytes

class Exchanges : public testing::TestWithParam<Case> {};

TEST_P(Exchanges, SumScatterGather) {
  const auto [ranks, count, segment, direct] = GetParam();
  CommunicatorOptions options;
  options.segment_bytes = segment;
  options.direct_bytes = direct;
  const auto n = static_cast<std::size_t>(ranks);
  for (const Collective kind : {Collective::AllReduce, Collective::ReduceScatter, Collective::AllGather}) {
    Cluster cluster(ranks, options);
    const std::size_t total = kind == Collective::AllReduce ? count : count * n;
    // One guard element on each side.
    std::vector<std::vector<double>> buffers(n, std::vector<double>(total + 2, -99));
    std::vector<std::unique_ptr<Request>> requests;
    for (std::size_t r = 0; r < n; ++r)
      requests.push_back(cluster.exchanges[r]->prepare(kind, buffers[r].data() + 1, count, DType::F64));
    for (int repeat = 0; repeat < 3; ++repeat) {
      for (std::size_t r = 0; r < n; ++r) {
        for (std::size_t i = 0; i < total; ++i) buffers[r][i + 1] = value(static_cast<int>(r) + repeat, i);
        requests[r]->start();
      }
      ASSERT_TRUE(cluster.run(requests));
      for (std::size_t r = 0; r < n; ++r) {
        ASSERT_EQ(buffers[r].front(), -99);
        ASSERT_EQ(buffers[r].back(), -99);
        for (std::size_t i = 0; i < total; ++i) {
          double sum = 0;
          for (std::size_t s = 0; s < n; ++s) sum += value(static_cast<int>(s) + repeat, i);
          const std::size_t owner = count == 0 ? 0 : i / count;
          if (kind == Collective::AllReduce || (kind == Collective::ReduceScatter && owner == r)) {
            ASSERT_EQ(buffers[r][i + 1], sum) << "rank " << r << " element " << i;
          } else if (kind == Collective::AllGather) {
            ASSERT_EQ(buffers[r][i + 1], value(static_cast<int>(owner) + repeat, i))
                << "rank " << r << " element " << i;
          }
        }
      }
    }
    std::uint64_t sent = 0;
    for (int r = 0; r < ranks; ++r) {
      const Traffic traffic = cluster.exchanges[static_cast<std::size_t>(r)]->traffic(kind);
      EXPECT_EQ(traffic.calls, 3U);
      EXPECT_EQ(traffic.buffer_bytes, 3 * total * sizeof(double));
      EXPECT_EQ(traffic.sent_bytes, 3 * sent_bytes(kind, count, DType::F64, r, ranks, options));
      sent += traffic.sent_bytes;
    }
    EXPECT_EQ(cluster.network.bytes, sent);
    const bool straight = kind == Collective::AllReduce && count * sizeof(double) <= direct;
    const std::size_t hops = straight ? n : kind == Collective::AllReduce ? 2 : 1;
    EXPECT_EQ(sent, 3 * hops * (n - 1) * total * sizeof(double));
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, Exchanges,
                         testing::Combine(testing::Values(1, 2, 3, 4, 7), testing::Values(0, 1, 3, 5, 64, 301),
                                          testing::Values(8, 56, 1 << 20), testing::Values(0, 24)));

TEST(Exchange, ManyInFlightFinishAndAgreeBitByBit) {
  constexpr int kRanks = 3;
  constexpr std::size_t kCount = 999;
  constexpr std::size_t kRequests = 11;  // more than may reduce at once
  CommunicatorOptions options;
  options.segment_bytes = 64;
  options.direct_bytes = 0;
  Cluster cluster(kRanks, options);
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> buffers(kRanks * kRequests, std::vector<float>(kCount));
  for (auto& buffer : buffers)
    for (auto& x : buffer) x = normal(random);
  const auto inputs = buffers;
  std::vector<std::unique_ptr<Request>> requests;
  for (std::size_t r = 0; r < kRanks; ++r) {
    for (std::size_t q = 0; q < kRequests; ++q) {
      auto& buffer = buffers[r * kRequests + q];
      // Sharded and unsharded by turns: the sums must not differ.
      if (q % 2 == 0)
        requests.push_back(cluster.exchanges[r]->prepare(Collective::AllReduce, buffer.data(), kCount, DType::F32));
      else
        requests.push_back(
            cluster.exchanges[r]->prepare(Collective::ReduceScatter, buffer.data(), kCount / kRanks, DType::F32));
      requests.back()->start();
    }
  }
  ASSERT_TRUE(cluster.run(requests));
  for (std::size_t q = 0; q < kRequests; ++q) {
    for (std::size_t i = 0; i < kCount; ++i) {
      const std::size_t owner = i / (kCount / kRanks);
      // The fixed order: from the owner's right neighbour around to the owner.
      float sum = inputs[((owner + 1) % kRanks) * kRequests + q][i];
      for (std::size_t s = 2; s <= kRanks; ++s) sum = inputs[((owner + s) % kRanks) * kRequests + q][i] + sum;
      for (std::size_t r = 0; r < kRanks; ++r)
        if (q % 2 == 0 || r == owner) {
          ASSERT_EQ(buffers[r * kRequests + q][i], sum) << "rank " << r << " request " << q << " element " << i;
        }
    }
  }
}

TEST(Exchange, GivenUpInFlight) {
  CommunicatorOptions options;
  Cluster cluster(2, options);
  std::vector<double> large(5000);
  std::vector<double> small(3);
  {
    auto ring = cluster.exchanges[0]->prepare(Collective::AllReduce, large.data(), large.size(), DType::F64);
    auto direct = cluster.exchanges[0]->prepare(Collective::AllReduce, small.data(), small.size(), DType::F64);
    ring->start();
    direct->start();
    EXPECT_FALSE(ring->test());
  }
  EXPECT_EQ(cluster.ports[0]->abandoned, 4);
  EXPECT_FALSE(cluster.exchanges[0]->progress());
}

TEST(Exchange, MisuseIsADefect) {
  Cluster cluster(2, {});
  std::vector<std::int32_t> buffer(4);
  EXPECT_THROW((void)cluster.exchanges[0]->prepare(Collective::AllReduce, buffer.data(), 4, DType::I32), Error);
  EXPECT_THROW((void)cluster.exchanges[0]->prepare(Collective::AllReduce, nullptr, 4, DType::F32), Error);
  auto request = cluster.exchanges[0]->prepare(Collective::AllReduce, buffer.data(), 4, DType::F32);
  EXPECT_TRUE(request->test());  // never started
  request->start();
  EXPECT_THROW(request->start(), Error);
}

TEST(Sum, HalvesAreAddedInFloatAndRoundedToEven) {
  for (const DType type : {DType::BF16, DType::F16}) {
    const std::size_t count = 2500;  // not a multiple of the tile
    std::vector<float> a(count);
    std::vector<float> b(count);
    for (std::size_t i = 0; i < count; ++i) {
      a[i] = static_cast<float>(i % 113) * 0.37F - 20;
      b[i] = static_cast<float>(i % 71) * -0.011F + 3;
    }
    std::vector<std::uint16_t> x(count);
    std::vector<std::uint16_t> y(count);
    convert_from_float(a.data(), type, x.data(), count);
    convert_from_float(b.data(), type, y.data(), count);
    convert_to_float(x.data(), type, a.data(), count);
    convert_to_float(y.data(), type, b.data(), count);
    add_into(x.data(), y.data(), count, type);
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_EQ(x[i], type == DType::BF16 ? to_bf16(a[i] + b[i]) : to_f16(a[i] + b[i])) << i;
  }
  // 1 + 2^-8 lies between two bf16 numbers and goes to the even one.
  std::uint16_t one = to_bf16(1.0F);
  const std::uint16_t half_step = to_bf16(0x1p-8F);
  add_into(&one, &half_step, 1, DType::BF16);
  EXPECT_EQ(from_bf16(one), 1.0F);
}

TEST(Sum, IntegersWrap) {
  std::int64_t x = INT64_MAX;
  const std::int64_t one = 1;
  add_into(&x, &one, 1, DType::I64);
  EXPECT_EQ(x, INT64_MIN);
}

}  // namespace
}  // namespace ldmpi::comm
