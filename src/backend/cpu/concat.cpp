// Columns side by side, any element type. An input that the planner placed inside the output is left alone.

#include <cstring>

#include "backend/cpu/element.h"
#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"

namespace ldmpi::backend::cpu {

NodeAnswer answer(const ir::Concat&, const NodeTypes&) {
  return {.pitched_inputs = true, .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::Concat&, const NodeTypes& types) {
  return own_kernel([types](const KernelArgs& args) {
    const ir::Type& y = types.outputs[0];
    const auto bytes_of = [&](std::int64_t elements) { return elements * static_cast<std::int64_t>(size_of(y.dtype)); };
    std::int64_t column = 0;
    for (std::size_t i = 0; i < types.inputs.size(); ++i) {
      const ir::Type& x = types.inputs[i];
      const std::byte* source = element(args.inputs[i], x.dtype, 0);
      std::byte* target = element(args.outputs[0], y.dtype, column);
      column += x.columns();
      if (source == target) continue;
      parallel_for(y.rows(), x.count(), [&](std::int64_t row) {
        std::memcpy(target + row * bytes_of(y.row_pitch()), source + row * bytes_of(x.row_pitch()),
                    static_cast<std::size_t>(bytes_of(x.columns())));
      });
    }
  });
}

}  // namespace ldmpi::backend::cpu
