// The op tests on the CPU backend.

#include <omp.h>

#include "backend/cpu/cpu_backend.h"
#include "under_test.h"

namespace ldmpi::test {

backend::NodeAnswer answer_under_test(const ir::Op& op, const backend::NodeTypes& types) {
  return backend::cpu_answer(op, types);
}
backend::KernelPtr kernel_under_test(const ir::Op& op, const backend::NodeTypes& types) {
  return backend::make_cpu_kernel(op, types);
}
std::unique_ptr<backend::Lowering> layouts_under_test() {
  return backend::make_cpu_lowering(1);
}
void use_variant(int variant) {
  omp_set_num_threads(variant);
}

}  // namespace ldmpi::test
