#pragma once
// Which ranks are on one machine, and on which of its cores a rank stays.

#include <filesystem>
#include <string>

namespace ldmpi::comm {

/// The place of this rank among those of its machine.
struct Locality {
  int rank = 0;
  int ranks = 1;
};

/// Among the ranks that share memory with this one, as MPI says, in the order of their ranks: host names, which
/// containers choose freely, do not count. Alone where MPI does not run. Collective.
[[nodiscard]] Locality locality();

/// Keeps this thread, and those that it starts from now on, to the cores that are near the device at this PCI address
/// ("0000:C1:00.0") and allowed already; memory then comes from there too. Returns the number of cores; 0, and nothing
/// has changed, where the system does not tell or none of the near ones is allowed.
int stay_near(const std::string& pci_address, const std::filesystem::path& devices = "/sys/bus/pci/devices");

}  // namespace ldmpi::comm
