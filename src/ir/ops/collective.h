#pragma once
// Collectives and marks: what a rank does together with others, as ops of the same program.

#include <vector>

#include "ir/ops/rules.h"

namespace ldmpi::ir {

enum class CollectiveKind : std::uint8_t { AllReduce, ReduceScatter, AllGather };
[[nodiscard]] std::string_view name_of(CollectiveKind kind) noexcept;

/// Starts a collective, in place, on elements [begin, end) of the arena value in input 0. For ReduceScatter and
/// AllGather the run has ranks * s elements and rank r owns [begin + r*s, begin + (r+1)*s).
/// Inputs: arena, then values or tokens that must be complete. Output: a token, u8 [0].
struct StartCollective {
  static constexpr std::string_view name = "start";
  static constexpr bool differentiable = false;
  static constexpr bool has_kernel = false;
  CollectiveKind kind = CollectiveKind::AllReduce;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  int sequence = 0;  ///< position among the program's collectives: equal on all ranks

  friend bool operator==(const StartCollective&, const StartCollective&) = default;
  void fields(auto&& field) const {
    field("kind", name_of(kind));
    field("begin", begin);
    field("end", end);
    field("sequence", sequence);
  }
  [[nodiscard]] std::vector<int> writes() const { return {0}; }
};
Types infer(const StartCollective&, TypesView inputs);

/// Waits until a started collective is complete. Input: its token. Output: a token.
struct WaitCollective {
  static constexpr std::string_view name = "wait";
  static constexpr bool differentiable = false;
  static constexpr bool has_kernel = false;
  int sequence = 0;

  friend bool operator==(const WaitCollective&, const WaitCollective&) = default;
  void fields(auto&& field) const { field("sequence", sequence); }
};
Types infer(const WaitCollective&, TypesView inputs);

/// y = the sum of x over all ranks, a small blocking all-reduce out of place. Input: x f32 or f64. Output: like x.
struct SumRanks {
  static constexpr std::string_view name = "sum_ranks";
  static constexpr bool differentiable = false;
  static constexpr bool has_kernel = false;
  int sequence = 0;

  friend bool operator==(const SumRanks&, const SumRanks&) = default;
  void fields(auto&& field) const { field("sequence", sequence); }
};
Types infer(const SumRanks&, TypesView inputs);

/// Says that a phase begins here: writes time and step number where the host can see them. No inputs, no outputs.
struct Mark {
  static constexpr std::string_view name = "mark";
  static constexpr bool differentiable = false;
  static constexpr bool has_kernel = false;
  Phase phase = Phase::Forward;

  friend bool operator==(const Mark&, const Mark&) = default;
  void fields(auto&& field) const { field("phase", name_of(phase)); }
};
Types infer(const Mark&, TypesView inputs);

}  // namespace ldmpi::ir
