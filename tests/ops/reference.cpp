#include "reference.h"

#include "base/check.h"

namespace ldmpi::test {

std::vector<Array> reference(const ir::Op& op, const Tensors& inputs, const ir::Types& outputs) {
  return std::visit(
      [&]<typename O>(const O& node) -> std::vector<Array> {
        if constexpr (requires { naive::compute(node, inputs, outputs); }) {
          return naive::compute(node, inputs, outputs);
        } else {
          fail(Exit::Internal, "no reference for {}", O::name);
        }
      },
      op);
}

}  // namespace ldmpi::test
