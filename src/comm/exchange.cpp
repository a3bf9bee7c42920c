#include "comm/exchange.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "comm/patience.h"
#include "comm/sum.h"

namespace ldmpi::comm {
namespace {

constexpr int kTags = 32767;        // the least that MPI promises
constexpr int kNoMessage = -1;      // handle of an empty piece, which needs no message
constexpr std::size_t kWindow = 4;  // segments under way per ring and direction: what one test() can move
constexpr int kReducing = 4;        // rings that reduce at the same time; younger ones wait for their scratch

std::size_t divide_up(std::size_t a, std::size_t b) {
  return (a + b - 1) / b;
}

}  // namespace

/// One prepared collective of an Exchange.
class Flight : public Request {
 public:
  Flight(Exchange& exchange, Collective kind, void* buffer, std::size_t count, DType type)
      : exchange_(exchange), kind_(kind), buffer_(static_cast<std::byte*>(buffer)), count_(count), type_(type) {
    if (exchange.free_tags_.empty()) {
      tag_ = exchange.tags_++;
      LDMPI_CHECK(tag_ < kTags, "more than {} collectives are prepared at once", kTags);
      // All places that grow with the number of requests, so that running them does not allocate.
      exchange.free_tags_.reserve(static_cast<std::size_t>(exchange.tags_));
      exchange.in_flight_.reserve(static_cast<std::size_t>(exchange.tags_));
    } else {
      tag_ = exchange.free_tags_.back();
      exchange.free_tags_.pop_back();
    }
  }

  ~Flight() override {
    if (active_) std::erase(exchange_.in_flight_, this);
    exchange_.free_tags_.push_back(tag_);
  }

  void start() final {
    LDMPI_CHECK(!active_, "a collective was started again before it was done");
    auto& traffic = this->traffic();
    ++traffic.calls;
    traffic.buffer_bytes += buffer_bytes();
    if (exchange_.ranks_ == 1 || count_ == 0) return;
    active_ = true;
    exchange_.in_flight_.push_back(this);
    launch();
    exchange_.progress();
  }

  bool test() final {
    if (active_) exchange_.progress();
    return !active_;
  }

  void wait() final {
    Patience patience;
    while (active_) patience.look(exchange_.progress());
  }

  /// Goes on as far as possible; true if anything moved. Sets active_ to false at the end.
  virtual bool advance() = 0;
  [[nodiscard]] bool active() const { return active_; }

 protected:
  virtual void launch() = 0;

  [[nodiscard]] Transport& transport() const { return exchange_.transport_; }
  [[nodiscard]] Traffic& traffic() const { return exchange_.traffic_[static_cast<std::size_t>(kind_)]; }
  [[nodiscard]] std::size_t rank() const { return static_cast<std::size_t>(exchange_.rank_); }
  [[nodiscard]] std::size_t ranks() const { return static_cast<std::size_t>(exchange_.ranks_); }
  [[nodiscard]] std::size_t elements() const { return kind_ == Collective::AllReduce ? count_ : count_ * ranks(); }
  [[nodiscard]] std::size_t buffer_bytes() const { return elements() * size_of(type_); }

  int send(std::size_t peer, const std::byte* bytes, std::size_t size) {
    if (size == 0) return kNoMessage;
    traffic().sent_bytes += size;
    return transport().send(static_cast<int>(peer), tag_, bytes, size);
  }
  int receive(std::size_t peer, std::byte* bytes, std::size_t size) {
    return size == 0 ? kNoMessage : transport().receive(static_cast<int>(peer), tag_, bytes, size);
  }
  bool done(int handle) { return handle == kNoMessage || transport().done(handle); }
  void abandon(int handle) {
    if (handle != kNoMessage) transport().abandon(handle);
  }

  /// Null while all scratch is in use.
  std::unique_ptr<std::byte[]> take_scratch() {
    if (exchange_.scratch_.empty()) return nullptr;
    auto scratch = std::move(exchange_.scratch_.back());
    exchange_.scratch_.pop_back();
    return scratch;
  }
  void give_scratch(std::unique_ptr<std::byte[]> scratch) { exchange_.scratch_.push_back(std::move(scratch)); }

  /// Messages that were given up may still write there.
  void keep(std::unique_ptr<std::byte[]> memory) { exchange_.given_up_.push_back(std::move(memory)); }

  Exchange& exchange_;
  Collective kind_;
  std::byte* buffer_;
  std::size_t count_;
  DType type_;
  bool active_ = false;

 private:
  int tag_ = 0;
};

namespace {

/// The buffer is ranks() blocks. In step s of the reducing half every rank sends block rank-s-1 to the right and adds
/// block rank-s-2 from the left; after ranks()-1 steps block r is complete on rank r. The gathering half goes on in the
/// same way without adding. A step is cut into segments; one segment of one step is a turn. Turns of each direction are
/// strictly in order, and a turn is sent as soon as the turn one step before it has arrived.
class Ring final : public Flight {
 public:
  Ring(Exchange& exchange, Collective kind, void* buffer, std::size_t count, DType type, std::size_t segment_bytes)
      : Flight(exchange, kind, buffer, count, type),
        block_(divide_up(elements(), ranks())),
        segment_(std::min(block_, segment_bytes / size_of(type))),
        segments_(std::max<std::size_t>(1, divide_up(block_, std::max<std::size_t>(1, segment_)))) {
    const std::size_t half = (ranks() - 1) * segments_;
    reduce_turns_ = kind == Collective::AllGather ? 0 : half;
    turns_ = reduce_turns_ + (kind == Collective::ReduceScatter ? 0 : half);
  }

  ~Ring() override {
    for (std::size_t t = sent_; t < send_turn_; ++t) abandon(sends_[t % kWindow]);
    for (std::size_t t = received_; t < receive_turn_; ++t) abandon(receives_[t % kWindow]);
    if (scratch_) keep(std::move(scratch_));
  }

  bool advance() override {
    if (received_ < reduce_turns_ && !scratch_ && !(scratch_ = take_scratch())) return false;
    const std::size_t before = send_turn_ + sent_ + receive_turn_ + received_;
    post_receives();
    post_sends();
    while (sent_ < send_turn_ && done(sends_[sent_ % kWindow])) ++sent_;
    while (received_ < receive_turn_ && done(receives_[received_ % kWindow])) arrive(received_++);
    if (scratch_ && received_ >= reduce_turns_) give_scratch(std::move(scratch_));
    if (sent_ == turns_ && received_ == turns_) active_ = false;
    return send_turn_ + sent_ + receive_turn_ + received_ != before;
  }

 private:
  struct Piece {
    std::byte* bytes;
    std::size_t count;
  };

  void launch() override { send_turn_ = sent_ = receive_turn_ = received_ = 0; }

  /// The segment that `rank` sends in turn t.
  [[nodiscard]] Piece piece(std::size_t rank, std::size_t t) const {
    const std::size_t step = t / segments_ + (reduce_turns_ > 0 ? 1 : 0);
    const std::size_t block = (rank + 2 * ranks() - step) % ranks();
    const std::size_t end = std::min(elements(), (block + 1) * block_);
    const std::size_t begin = std::min(end, block * block_ + (t % segments_) * segment_);
    return {buffer_ + begin * size_of(type_), std::min(segment_, end - begin)};
  }
  [[nodiscard]] Piece incoming(std::size_t t) const { return piece((rank() + ranks() - 1) % ranks(), t); }
  [[nodiscard]] bool reduces(std::size_t t) const { return t < reduce_turns_; }
  [[nodiscard]] std::byte* scratch(std::size_t t) const {
    return scratch_.get() + (t % kWindow) * segment_ * size_of(type_);
  }

  void post_receives() {
    const std::size_t left = (rank() + ranks() - 1) % ranks();
    for (; receive_turn_ < turns_ && receive_turn_ - received_ < kWindow; ++receive_turn_) {
      const std::size_t t = receive_turn_;
      // The gathering half overwrites what the reducing half has sent.
      if (!reduces(t) && reduce_turns_ > 0 && sent_ <= t - reduce_turns_) return;
      const Piece to = incoming(t);
      receives_[t % kWindow] = receive(left, reduces(t) ? scratch(t) : to.bytes, to.count * size_of(type_));
    }
  }

  void post_sends() {
    const std::size_t right = (rank() + 1) % ranks();
    for (; send_turn_ < turns_ && send_turn_ - sent_ < kWindow; ++send_turn_) {
      const std::size_t t = send_turn_;
      if (t >= segments_ && received_ <= t - segments_) return;
      const Piece from = piece(rank(), t);
      sends_[t % kWindow] = send(right, from.bytes, from.count * size_of(type_));
    }
  }

  void arrive(std::size_t t) {
    if (!reduces(t)) return;
    const Piece to = incoming(t);
    add_into(to.bytes, scratch(t), to.count, type_);
  }

  std::size_t block_;     // elements per block; the last blocks may be shorter or empty
  std::size_t segment_;   // elements per segment
  std::size_t segments_;  // segments per block
  std::size_t reduce_turns_ = 0;
  std::size_t turns_ = 0;
  std::size_t send_turn_ = 0;     // sends posted
  std::size_t sent_ = 0;          // sends done
  std::size_t receive_turn_ = 0;  // receives posted
  std::size_t received_ = 0;      // receives done and added
  std::array<int, kWindow> sends_{};
  std::array<int, kWindow> receives_{};
  std::unique_ptr<std::byte[]> scratch_;
};

/// All-reduce of a small buffer: everybody sends it to everybody, one hop instead of 2 (ranks - 1), and sums in rank
/// order.
class Direct final : public Flight {
 public:
  Direct(Exchange& exchange, void* buffer, std::size_t count, DType type)
      : Flight(exchange, Collective::AllReduce, buffer, count, type),
        copies_(std::make_unique<std::byte[]>(ranks() * buffer_bytes())),
        handles_(2 * ranks(), kNoMessage) {}

  ~Direct() override {
    if (!active_) return;
    for (std::size_t i = finished_; i < handles_.size(); ++i) abandon(handles_[i]);
    keep(std::move(copies_));
  }

  bool advance() override {
    const std::size_t before = finished_;
    while (finished_ < handles_.size() && done(handles_[finished_])) ++finished_;
    if (finished_ == handles_.size()) {
      std::memcpy(buffer_, copies_.get(), buffer_bytes());
      for (std::size_t peer = 1; peer < ranks(); ++peer) add_into(buffer_, copy_of(peer), count_, type_);
      active_ = false;
    }
    return finished_ != before;
  }

 private:
  void launch() override {
    finished_ = 0;
    std::memcpy(copy_of(rank()), buffer_, buffer_bytes());
    for (std::size_t peer = 0; peer < ranks(); ++peer) {
      if (peer == rank()) continue;
      handles_[2 * peer] = receive(peer, copy_of(peer), buffer_bytes());
      handles_[2 * peer + 1] = send(peer, copy_of(rank()), buffer_bytes());
    }
  }
  [[nodiscard]] std::byte* copy_of(std::size_t peer) const { return copies_.get() + peer * buffer_bytes(); }

  std::unique_ptr<std::byte[]> copies_;
  std::vector<int> handles_;
  std::size_t finished_ = 0;
};

}  // namespace

Exchange::Exchange(Transport& transport, int rank, int ranks, const CommunicatorOptions& options)
    : transport_(transport), rank_(rank), ranks_(ranks), options_(options) {
  LDMPI_CHECK(options.segment_bytes >= sizeof(double), "segments of {} bytes hold no element", options.segment_bytes);
  if (ranks == 1) return;
  for (int i = 0; i < kReducing; ++i)
    scratch_.push_back(std::make_unique_for_overwrite<std::byte[]>(kWindow * options.segment_bytes));
}

Exchange::~Exchange() = default;

std::unique_ptr<Request> Exchange::prepare(Collective kind, void* buffer, std::size_t count, DType type) {
  LDMPI_CHECK(can_sum(type), "no collectives of {}", name_of(type));
  LDMPI_CHECK(buffer != nullptr || count == 0, "a collective without a buffer");
  if (kind == Collective::AllReduce && count * size_of(type) <= options_.direct_bytes)
    return std::make_unique<Direct>(*this, buffer, count, type);
  return std::make_unique<Ring>(*this, kind, buffer, count, type, options_.segment_bytes);
}

bool Exchange::progress() {
  bool moved = false;
  for (Flight* flight : in_flight_) moved |= flight->advance();
  std::erase_if(in_flight_, [](const Flight* flight) { return !flight->active(); });
  return moved;
}

}  // namespace ldmpi::comm
