#include "comm/locality.h"

#include <mpi.h>
#include <sched.h>

#include <algorithm>
#include <cctype>
#include <fstream>

#include "base/check.h"

namespace ldmpi::comm {
namespace {

/// The cores of a list like "0-15,32-47,64"; none where it is not such a list.
cpu_set_t cores_in(std::istream& list) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (int first = 0; list >> first;) {
    int last = first;
    if (list.peek() == '-') {
      list.get();
      list >> last;
    }
    for (int core = first; core >= 0 && core <= std::min(last, CPU_SETSIZE - 1); ++core) CPU_SET(core, &set);
    if (list.peek() == ',') list.get();
  }
  return set;
}

}  // namespace

Locality locality() {
  int running = 0;
  MPI_Initialized(&running);
  if (running == 0) return {};
  MPI_Comm machine = MPI_COMM_NULL;
  require(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &machine) == MPI_SUCCESS,
          Exit::IoError, "the ranks of a machine cannot find each other (MPI_Comm_split_type)");
  Locality place;
  MPI_Comm_rank(machine, &place.rank);
  MPI_Comm_size(machine, &place.ranks);
  MPI_Comm_free(&machine);
  return place;
}

int stay_near(const std::string& pci_address, const std::filesystem::path& devices) {
  std::string name = pci_address;
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  std::ifstream list(devices / name / "local_cpulist");
  const cpu_set_t near = cores_in(list);
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return 0;
  cpu_set_t both;
  CPU_AND(&both, &near, &allowed);
  if (CPU_COUNT(&both) == 0 || sched_setaffinity(0, sizeof both, &both) != 0) return 0;
  return CPU_COUNT(&both);
}

}  // namespace ldmpi::comm
