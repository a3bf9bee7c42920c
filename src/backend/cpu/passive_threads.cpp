#include <unistd.h>

#include <array>
#include <cstdlib>

#include "backend/cpu/cpu_backend.h"

namespace ldmpi::backend {

void prefer_passive_threads(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  // The file's real name, not /proc/self/exe, so that process lists keep showing it.
  std::array<char, 4096> program{};
  const ssize_t length = ::readlink("/proc/self/exe", program.data(), program.size() - 1);
  if (length <= 0 || ::setenv("OMP_WAIT_POLICY", "passive", 1) != 0) return;
  ::execv(program.data(), argv);
}

}  // namespace ldmpi::backend
