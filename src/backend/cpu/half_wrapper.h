#pragma once
// bf16 and f16 for kernels that compute in f32: operands are converted through scratch around the f32 kernel.

#include <vector>

#include "backend/kernel.h"

namespace ldmpi::backend::cpu {

/// How the operands of one node are converted: which, and where their dense f32 copies lie in the workspace.
class HalfPlan {
 public:
  struct Slot {
    ir::Type type;
    std::int64_t rows = 0;  ///< as stored: a blocked weight is one row with its padding
    std::int64_t columns = 0;
    bool converted = false;  ///< 16-bit, hence copied
    std::size_t offset = 0;  ///< bytes into the workspace
  };

  explicit HalfPlan(const NodeTypes& types);

  /// The node as the f32 kernel sees it: 16-bit operands are f32 and dense, the others unchanged.
  [[nodiscard]] NodeTypes inner_types() const;
  /// The node's answer, given that of the f32 kernel for inner_types().
  [[nodiscard]] NodeAnswer answer(const NodeAnswer& inner) const;

  [[nodiscard]] const std::vector<Slot>& inputs() const noexcept { return inputs_; }
  [[nodiscard]] const std::vector<Slot>& outputs() const noexcept { return outputs_; }
  /// Bytes of all copies; the workspace of the f32 kernel follows.
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

 private:
  Slot place(const ir::Type& type);

  std::vector<Slot> inputs_;
  std::vector<Slot> outputs_;
  std::size_t bytes_ = 0;
};

/// The kernel of the node: converts, runs `inner`, converts back.
[[nodiscard]] KernelPtr make_half_kernel(HalfPlan plan, KernelPtr inner);

}  // namespace ldmpi::backend::cpu
