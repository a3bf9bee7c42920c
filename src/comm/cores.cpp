#include "comm/cores.h"

#include <sched.h>

#include <algorithm>
#include <thread>

#include "base/control_group.h"

namespace ldmpi::comm {
namespace {

/// Empty where the machine has more processors than the type holds.
cpu_set_t affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_ZERO(&set);
  return set;
}

int count(const cpu_set_t& set) {
  const int cores = CPU_COUNT(&set);
  return cores > 0 ? cores : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

int at_most(int cores, double processors) {
  return std::max(1, std::min(cores, static_cast<int>(processors)));
}

}  // namespace

int allotted_cores() {
  const int cores = count(affinity());
  return at_most(cores, control_group_processors().value_or(cores));
}

int cores_of_rank(Communicator& communicator) {
  const cpu_set_t mine = affinity();
  std::vector<cpu_set_t> all(static_cast<std::size_t>(communicator.size()));
  communicator.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all)));
  const auto& hosts = communicator.hosts();
  const auto& host = hosts[static_cast<std::size_t>(communicator.rank())];
  int on_host = 0;
  int sharing = 0;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    if (hosts[rank] != host) continue;
    cpu_set_t both;
    CPU_AND(&both, &mine, &all[rank]);
    ++on_host;
    sharing += CPU_COUNT(&both) > 0 || CPU_COUNT(&mine) == 0 ? 1 : 0;
  }
  const int cores = count(mine) / std::max(1, sharing);
  return at_most(cores, control_group_processors().value_or(count(mine) * on_host) / on_host);
}

}  // namespace ldmpi::comm
