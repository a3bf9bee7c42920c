#pragma once
// The optimizer as ops over whole arenas. Persistent values that an op updates in place are named by writes().

#include <vector>

#include "ir/ops/rules.h"

namespace ldmpi::ir {

/// Slots of the State arena, f64 [kStateSlots]; saved in checkpoints.
enum class StateSlot : int {
  Applied = 0,       ///< optimizer updates applied
  Skipped = 1,       ///< updates skipped because the gradient norm was not finite
  SkippedInRow = 2,  ///< of these, the last uninterrupted ones
  LossScale = 3,     ///< 1 unless fp16
  GoodSteps = 4,     ///< finite steps since the loss scale last changed
  EmaCount = 5,      ///< updates seen by the average
};
inline constexpr int kStateSlots = 8;

/// A run of elements of the parameter arenas with its decay. Weights and gradients are numbered alike on all ranks;
/// with a sharded optimizer the moments, the average and (16-bit training) the master copy hold only the rank's own
/// elements, and the run begins at another index there.
struct ParameterRange {
  std::int64_t begin = 0;  ///< in weights and gradients
  std::int64_t end = 0;
  std::int64_t master_begin = 0;  ///< in the master copy
  std::int64_t moment_begin = 0;  ///< in both moments and the average
  bool decay = true;
  friend bool operator==(const ParameterRange&, const ParameterRange&) = default;
};

/// y = grad (f32 accumulation across micro-batches): accumulator += x in place.
/// Inputs: accumulator (persistent, f32), x (any float type, same elements). Output: a token, u8 [0].
struct Accumulate {
  static constexpr std::string_view name = "accumulate";
  static constexpr bool differentiable = false;
  friend bool operator==(const Accumulate&, const Accumulate&) = default;
  void fields(auto&&) const {}
  [[nodiscard]] std::vector<int> writes() const { return {0}; }
};
Types infer(const Accumulate&, TypesView inputs);

/// Sum of squares of the gradients over `ranges`, in fp64 and of fixed shape. Inputs: gradients arena, tokens it
/// must follow. Output: f64 [1].
struct SumSquares {
  static constexpr std::string_view name = "sum_squares";
  static constexpr bool differentiable = false;
  std::vector<ParameterRange> ranges;

  friend bool operator==(const SumSquares&, const SumSquares&) = default;
  void fields(auto&& field) const { field("ranges", ranges.size()); }
};
Types infer(const SumSquares&, TypesView inputs);

/// AdamW with decoupled decay, gradient clipping by global norm, loss-scale removal, EMA and cast in one pass.
/// With g' = g / loss_scale * min(1, max_norm / (norm + 1e-6)), norm = sqrt(sum_squares) / loss_scale, k = applied + 1:
///   m = b1 m + (1-b1) g';  v = b2 v + (1-b2) g'^2;  p *= 1 - lr * decay
///   p -= lr / (1-b1^k) * m / (sqrt(v / (1-b2^k)) + eps);  ema += (1 - d) (p - ema);  weights = cast(p)
/// Nothing is changed where norm is not finite. d = min(ema_decay, (1 + c) / (10 + c)), c = EMA count, if ema_warmup.
/// Inputs: lr f32 [1], sum_squares f64 [1], state f64 [8], gradients, master, moment1, moment2 (arenas), then
/// weights where they are not the master, then ema where used (`has_weights`, `has_ema`). Output: a token.
struct AdamW {
  static constexpr std::string_view name = "adamw";
  static constexpr bool differentiable = false;
  std::vector<ParameterRange> ranges;
  float beta1 = 0.9F;
  float beta2 = 0.999F;
  float epsilon = 1e-8F;
  float weight_decay = 0.01F;
  float max_norm = 1;  ///< 0: no clipping
  float ema_decay = 0.9999F;
  bool ema_warmup = true;
  bool has_weights = false;
  bool has_ema = false;

  friend bool operator==(const AdamW&, const AdamW&) = default;
  void fields(auto&& field) const {
    field("ranges", ranges.size());
    field("weight_decay", weight_decay);
    field("max_norm", max_norm);
    field("ema", has_ema);
  }
  [[nodiscard]] std::vector<int> writes() const {
    std::vector<int> result{4, 5, 6};
    for (int i = 0; i < int{has_weights} + int{has_ema}; ++i) result.push_back(7 + i);
    return result;
  }
};
Types infer(const AdamW&, TypesView inputs);

/// Counts the update and moves the loss scale: finite norm: applied+1, ema+1, scale doubled after `growth_interval`
/// good steps; otherwise skipped+1, scale halved (not below 1). Inputs: sum_squares, state, tokens. Output: metrics f64
/// [4]: norm (unscaled), finite (0/1), loss scale used, applied.
struct UpdateState {
  static constexpr std::string_view name = "update_state";
  static constexpr bool differentiable = false;
  bool dynamic_scale = false;
  std::int64_t growth_interval = 2000;

  friend bool operator==(const UpdateState&, const UpdateState&) = default;
  void fields(auto&& field) const { field("dynamic_scale", dynamic_scale); }
  [[nodiscard]] std::vector<int> writes() const { return {1}; }
};
Types infer(const UpdateState&, TypesView inputs);

/// f32 [1] = state[slot] * factor; the loss scale as the seed of the backward pass. Input: state.
struct ReadState {
  static constexpr std::string_view name = "read_state";
  static constexpr bool differentiable = false;
  StateSlot slot = StateSlot::LossScale;
  float factor = 1;

  friend bool operator==(const ReadState&, const ReadState&) = default;
  void fields(auto&& field) const {
    field("slot", static_cast<int>(slot));
    field("factor", factor);
  }
};
Types infer(const ReadState&, TypesView inputs);

}  // namespace ldmpi::ir
