#pragma once
// Handles of values, and the arenas that hold what outlives a step.

#include <compare>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ldmpi::ir {

/// A value of one graph: the index of its type. Default-constructed: no value.
struct Value {
  std::int32_t id = -1;
  [[nodiscard]] explicit operator bool() const noexcept { return id >= 0; }
  friend auto operator<=>(const Value&, const Value&) = default;
};

using Values = std::vector<Value>;
using ValuesView = std::span<const Value>;

/// Memory areas of a rank. All but Activations and Workspace keep their contents from step to step.
enum class Arena : std::uint8_t {
  Weights,      ///< parameters as the kernels read them (compute dtype)
  Master,       ///< fp32 copy of the trainable parameters; the same memory as Weights in fp32
  Gradients,    ///< one slot per trainable parameter block
  Moment1,      ///< AdamW's m
  Moment2,      ///< AdamW's v
  Ema,          ///< averaged parameters
  State,        ///< scalars that depend on results: counters, loss scale (ir/ops/optimizer.h)
  Inputs,       ///< what the host writes before a step
  Outputs,      ///< what the host reads after a step
  Constants,    ///< tables baked into the program
  Activations,  ///< planned, reused within a step
  Workspace,    ///< scratch of one kernel at a time
};
inline constexpr int kArenas = 12;

[[nodiscard]] std::string_view name_of(Arena arena) noexcept;

/// Phases of a step, for times, traces and the watchdog.
enum class Phase : std::uint8_t { Data, Forward, Backward, Communicate, Optimize };
[[nodiscard]] std::string_view name_of(Phase phase) noexcept;

}  // namespace ldmpi::ir
