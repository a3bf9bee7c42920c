#include "base/build_info.h"

#include "base/check.h"

namespace ldmpi {

std::string version() {
  return LDMPI_VERSION;
}

std::string build_id() {
  return fmt::format("ldmpi {} commit {} {} {} c++{}", LDMPI_VERSION, commit(), __VERSION__, LDMPI_MARCH, __cplusplus);
}

void require_instruction_set() {
#if defined(__x86_64__) && defined(__AVX2__)
  require(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), Exit::NoDevice,
          "this binary was built for {} and needs a CPU with AVX2 and FMA; this CPU has not. "
          "Build again on this machine with -DLDMPI_ARCH=native",
          LDMPI_MARCH);
#endif
}

}  // namespace ldmpi
