#include "base/resources.h"

#include <sys/resource.h>

#include <fstream>
#include <limits>
#include <string>

namespace ldmpi {

Resources read_resources() {
  Resources result;
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    if (key == "VmRSS:" || key == "VmHWM:") {
      std::int64_t kibibytes = 0;
      status >> kibibytes;
      (key == "VmRSS:" ? result.resident_bytes : result.peak_resident_bytes) = kibibytes * 1024;
    }
    status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) result.minor_page_faults = usage.ru_minflt;
  return result;
}

}  // namespace ldmpi
