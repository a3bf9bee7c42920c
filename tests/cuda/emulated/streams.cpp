#include "streams.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace ldmpi::emulation {

bool Work::empty() const {
  return std::all_of(queues_.begin(), queues_.end(), [](const auto& queue) { return queue.second.empty(); });
}

void Work::run(bool last_first) {
  // Waits for what was recorded before this work are met already.
  std::set<std::pair<CUevent_st*, std::uint64_t>> pending;
  for (const auto& [stream, items] : queues_)
    for (const auto& item : items)
      if (item.kind == Item::Kind::Record) pending.insert({item.event, item.version});
  std::vector<std::pair<const std::vector<Item>*, std::size_t>> order;
  for (const auto& [stream, items] : queues_) order.emplace_back(&items, 0);
  if (last_first) std::reverse(order.begin(), order.end());
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& [items, next] : order)
      for (; next < items->size(); ++next) {
        const Item& item = (*items)[next];
        if (item.kind == Item::Kind::Wait && pending.contains({item.event, item.version})) break;
        if (item.kind == Item::Kind::Run) item.run();
        if (item.kind == Item::Kind::Record) pending.erase({item.event, item.version});
        moved = true;
      }
  }
  for (const auto& [items, next] : order)
    if (next < items->size()) {
      std::fprintf(stderr, "emulated streams wait for each other\n");
      std::abort();
    }
}

bool Work::joined(CUstream_st* origin) const {
  std::set<std::pair<CUevent_st*, std::uint64_t>> awaited;
  if (const auto found = queues_.find(origin); found != queues_.end())
    for (const auto& item : found->second)
      if (item.kind == Item::Kind::Wait) awaited.insert({item.event, item.version});
  return std::all_of(queues_.begin(), queues_.end(), [&](const auto& queue) {
    if (queue.first == origin || queue.second.empty()) return true;
    const auto& last = queue.second.back();
    return last.kind == Item::Kind::Record && awaited.contains({last.event, last.version});
  });
}

}  // namespace ldmpi::emulation
