// From an op of a graph to its own kernel.

#include <concepts>
#include <variant>

#include "backend/cuda/kernels.h"
#include "base/check.h"

namespace ldmpi::backend::cuda {
namespace {

template <typename O>
concept OwnOp = requires(const O& op, const NodeTypes& types, Site& site) {
  { make_kernel(op, types, site) } -> std::same_as<KernelPtr>;
};

}  // namespace

KernelPtr make_own_kernel(const ir::Op& op, const NodeTypes& types, Site& site) {
  return std::visit(
      [&]<typename O>(const O& node) -> KernelPtr {
        if constexpr (OwnOp<O>) {
          return make_kernel(node, types, site);
        } else {
          fail(Exit::Internal, "op '{}' has no own CUDA kernel", O::name);
        }
      },
      op);
}

}  // namespace ldmpi::backend::cuda
