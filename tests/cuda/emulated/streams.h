#pragma once
// Streams, events and recorded graphs as CUDA defines them, run by one thread of the CPU. Work is done as late as
// possible and in a hostile order: nothing happens in order unless a stream or an event demands it.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

struct CUstream_st;
struct CUevent_st;

namespace ldmpi::emulation {

/// Work of several streams with the events between them.
class Work {
 public:
  struct Item {
    enum class Kind : std::uint8_t { Run, Record, Wait };
    Kind kind = Kind::Run;
    std::function<void()> run;
    CUevent_st* event = nullptr;
    std::uint64_t version = 0;  ///< of the event: recorded, or waited for
  };
  void add(CUstream_st* stream, Item item) { queues_[stream].push_back(std::move(item)); }
  [[nodiscard]] bool has(CUstream_st* stream) const { return queues_.contains(stream); }
  [[nodiscard]] bool empty() const;
  /// Does everything. Streams take turns from the last to the first made where `last_first`, else the other way round;
  /// each goes on until it must wait. Ends the program where all wait.
  void run(bool last_first);
  /// Whether all streams but `origin` end in an event that `origin` waits for.
  [[nodiscard]] bool joined(CUstream_st* origin) const;

 private:
  std::map<CUstream_st*, std::vector<Item>> queues_;
};

}  // namespace ldmpi::emulation
