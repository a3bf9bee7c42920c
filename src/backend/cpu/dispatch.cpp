// From an op of a graph to its kernel: every op is served here or named as exec's own, or this file does not compile.

#include <algorithm>
#include <concepts>
#include <variant>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/half_wrapper.h"
#include "backend/cpu/kernels.h"
#include "base/check.h"

namespace ldmpi::backend {

namespace {

template <typename O>
concept WithKernel = requires(const O& op, const NodeTypes& types) {
  { cpu::answer(op, types) } -> std::same_as<NodeAnswer>;
  { cpu::make_kernel(op, types) } -> std::same_as<KernelPtr>;
};

template <typename O>
void check_served() {
  static_assert(WithKernel<O> != ir::WithoutKernel<O>,
                "Every op needs a CPU kernel: declare answer and make_kernel for it in backend/cpu/kernels.h, "
                "or `has_kernel = false` in the op if exec serves it itself.");
}

bool any_half(const NodeTypes& types) {
  const auto half = [](const ir::Type& type) { return is_half(type.dtype); };
  return std::ranges::any_of(types.inputs, half) || std::ranges::any_of(types.outputs, half);
}

}  // namespace

NodeAnswer cpu_answer(const ir::Op& op, const NodeTypes& types) {
  return std::visit(
      [&]<typename O>(const O& node) -> NodeAnswer {
        check_served<O>();
        if constexpr (ir::WithoutKernel<O>) {
          return {};
        } else {
          if constexpr (!cpu::AnyFloat<O>) {
            if (any_half(types)) {
              const cpu::HalfPlan plan(types);
              return plan.answer(cpu::answer(node, plan.inner_types()));
            }
          }
          return cpu::answer(node, types);
        }
      },
      op);
}

KernelPtr make_cpu_kernel(const ir::Op& op, const NodeTypes& types) {
  return std::visit(
      [&]<typename O>(const O& node) -> KernelPtr {
        if constexpr (ir::WithoutKernel<O>) {
          fail(Exit::Internal, "op '{}' has no kernel: exec serves it", O::name);
        } else {
          if constexpr (!cpu::AnyFloat<O>) {
            static_assert(!ir::WritesInPlace<O>, "the 16-bit wrapper copies its inputs: an op in place is AnyFloat");
            if (any_half(types)) {
              cpu::HalfPlan plan(types);
              auto inner = cpu::make_kernel(node, plan.inner_types());
              return cpu::make_half_kernel(std::move(plan), std::move(inner));
            }
          }
          return cpu::make_kernel(node, types);
        }
      },
      op);
}

}  // namespace ldmpi::backend
