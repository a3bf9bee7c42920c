#include "comm/solo.h"

#include <algorithm>

#include "base/check.h"
#include "comm/exchange.h"

namespace ldmpi::comm {
namespace {

/// With one rank no collective sends anything.
class NoTransport final : public Transport {
 public:
  int send(int, int, const std::byte*, std::size_t) override {
    LDMPI_CHECK(false, "a message to nobody");
    return 0;
  }
  int receive(int, int, std::byte*, std::size_t) override {
    LDMPI_CHECK(false, "a message of nobody");
    return 0;
  }
  bool done(int) override { return true; }
  void abandon(int) override {}
};

class Solo final : public Communicator {
 public:
  explicit Solo(const Environment& environment) : hosts_{environment.host} {}

  int rank() const noexcept override { return 0; }
  int size() const noexcept override { return 1; }
  bool only_enqueue() const noexcept override { return true; }
  const std::vector<std::string>& hosts() const noexcept override { return hosts_; }

  void broadcast(std::span<std::byte>, int) override {}
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
    LDMPI_CHECK(all.size() == mine.size(), "all_gather of {} bytes into {}", mine.size(), all.size());
    std::copy(mine.begin(), mine.end(), all.begin());
  }
  std::vector<std::string> gather(std::string_view text, int) override { return {std::string(text)}; }
  void all_reduce(std::span<std::int64_t>, Reduction) override {}
  void all_reduce(std::span<double>, Reduction) override {}
  void barrier() override {}

  std::unique_ptr<Request> prepare_all_reduce(void* buffer, std::size_t count, DType type) override {
    return exchange_.prepare(Collective::AllReduce, buffer, count, type);
  }
  std::unique_ptr<Request> prepare_reduce_scatter(void* buffer, std::size_t count, DType type) override {
    return exchange_.prepare(Collective::ReduceScatter, buffer, count, type);
  }
  std::unique_ptr<Request> prepare_all_gather(void* buffer, std::size_t count, DType type) override {
    return exchange_.prepare(Collective::AllGather, buffer, count, type);
  }
  Traffic traffic(Collective kind) const noexcept override { return exchange_.traffic(kind); }

 private:
  std::vector<std::string> hosts_;
  NoTransport transport_;
  Exchange exchange_{transport_, 0, 1, CommunicatorOptions{}};
};

}  // namespace

std::unique_ptr<Communicator> make_solo_communicator(const Environment& environment) {
  return std::make_unique<Solo>(environment);
}

}  // namespace ldmpi::comm
