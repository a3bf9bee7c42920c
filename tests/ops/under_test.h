#pragma once
// The kernels that the op tests test: which ones is decided when a test program is linked.

#include <memory>

#include "backend/kernel.h"

namespace ldmpi::test {

[[nodiscard]] backend::NodeAnswer answer_under_test(const ir::Op& op, const backend::NodeTypes& types);
[[nodiscard]] backend::KernelPtr kernel_under_test(const ir::Op& op, const backend::NodeTypes& types);
/// Knows how the kernels want parameters stored.
[[nodiscard]] std::unique_ptr<backend::Lowering> layouts_under_test();
/// How the next kernels share their work: 1, 2 or 3 threads, or another order of emulated ones.
void use_variant(int variant);

}  // namespace ldmpi::test
