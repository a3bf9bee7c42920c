// The op tests on the CUDA backend's own kernels, emulated.

#include <cstring>

#include "../under_test.h"
#include "backend/cuda/kernels.h"
#include "backend/cuda_answers.h"
#include "backend/formula_lowering.h"
#include "emulator.h"

namespace ldmpi::test {
namespace {

class EmulatedSite final : public backend::cuda::Site {
 public:
  backend::cuda::Stream stream() const override { return nullptr; }
  std::shared_ptr<const void> keep(std::span<const std::byte> bytes) override {
    const std::size_t rounded = (bytes.size() + 15) / 16 * 16;
    std::shared_ptr<void> copy(std::aligned_alloc(16, rounded), &std::free);
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    return copy;
  }
};

}  // namespace

backend::NodeAnswer answer_under_test(const ir::Op& op, const backend::NodeTypes& types) {
  return backend::cuda_answer(op, types);
}

backend::KernelPtr kernel_under_test(const ir::Op& op, const backend::NodeTypes& types) {
  EmulatedSite site;
  return backend::cuda::make_own_kernel(op, types, site);
}

std::unique_ptr<backend::Lowering> layouts_under_test() {
  return backend::make_formula_lowering("cuda");
}

void use_variant(int variant) {
  using enum emulation::Order;
  emulation::set_order(variant == 1 ? Forward : variant == 2 ? Backward : Shuffled);
}

}  // namespace ldmpi::test
