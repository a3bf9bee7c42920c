#pragma once
// Runs one node on the CPU backend with guarded buffers.

#include <vector>

#include "backend/cpu/cpu_backend.h"

namespace ldmpi::test {

/// Floats in [-1, 1], fixed by the seed.
[[nodiscard]] std::vector<float> random_floats(std::int64_t count, std::uint64_t seed);

/// f32 rows [rows, columns] with a pitch.
[[nodiscard]] ir::Type matrix(std::int64_t rows, std::int64_t columns, std::int64_t pitch = 0);
[[nodiscard]] ir::Type image(const Shape& shape, std::int64_t pitch = 0);
[[nodiscard]] ir::Type weight(const Shape& shape);

/// Elements that an operand occupies: pitched rows, or a weight with its padding.
[[nodiscard]] std::int64_t stored_elements(const ir::Type& type);

struct Prepared {
  backend::KernelPtr kernel;
  std::size_t workspace_bytes = 0;
};

/// A kernel, with the workspace bound that was stated before pitches were known.
[[nodiscard]] Prepared prepare(const ir::Op& op, const backend::NodeTypes& types);

/// Runs the node on f32 operands (weights in storage order) with a workspace of exactly the stated size, filled with
/// NaN. Returns output 0; what lies between its pitched rows keeps the value kUntouched. Expects that nothing was
/// written behind the workspace.
[[nodiscard]] std::vector<float> run_node(const ir::Op& op, const backend::NodeTypes& types,
                                          const std::vector<std::vector<float>>& inputs);
inline constexpr float kUntouched = 12345.0F;

}  // namespace ldmpi::test
