#include "comm/staged.h"

#include <functional>
#include <vector>

namespace ldmpi::comm {
namespace {

using Prepare = std::function<std::unique_ptr<Request>(void* host_buffer)>;

class StagedRequest final : public Request {
 public:
  StagedRequest(backend::Device& device, void* buffer, std::size_t bytes, const Prepare& prepare)
      : device_(device), buffer_(buffer), copy_(bytes), request_(prepare(copy_.data())) {}

  void start() override {
    device_.download(copy_.data(), buffer_, copy_.size());
    request_->start();
  }
  bool test() override { return request_->test(); }
  void wait() override {
    request_->wait();
    device_.upload(buffer_, copy_.data(), copy_.size());
  }

 private:
  backend::Device& device_;
  void* buffer_;
  std::vector<std::byte> copy_;
  std::unique_ptr<Request> request_;
};

class StagedCollectives final : public Collectives {
 public:
  StagedCollectives(Communicator& host, backend::Device& device) : host_(host), device_(device) {}

  int size() const noexcept override { return host_.size(); }
  std::unique_ptr<Request> prepare_all_reduce(void* buffer, std::size_t count, DType type) override {
    return stage(buffer, count * size_of(type),
                 [=, this](void* copy) { return host_.prepare_all_reduce(copy, count, type); });
  }
  std::unique_ptr<Request> prepare_reduce_scatter(void* buffer, std::size_t count, DType type) override {
    return stage(buffer, all(count, type),
                 [=, this](void* copy) { return host_.prepare_reduce_scatter(copy, count, type); });
  }
  std::unique_ptr<Request> prepare_all_gather(void* buffer, std::size_t count, DType type) override {
    return stage(buffer, all(count, type),
                 [=, this](void* copy) { return host_.prepare_all_gather(copy, count, type); });
  }
  Traffic traffic(Collective kind) const noexcept override { return host_.traffic(kind); }

 private:
  std::unique_ptr<Request> stage(void* buffer, std::size_t bytes, const Prepare& prepare) {
    return std::make_unique<StagedRequest>(device_, buffer, bytes, prepare);
  }
  [[nodiscard]] std::size_t all(std::size_t count, DType type) const {
    return static_cast<std::size_t>(size()) * count * size_of(type);
  }

  Communicator& host_;
  backend::Device& device_;
};

}  // namespace

std::unique_ptr<Collectives> make_staged_collectives(Communicator& host, backend::Device& device) {
  return std::make_unique<StagedCollectives>(host, device);
}

}  // namespace ldmpi::comm
