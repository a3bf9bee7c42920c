#pragma once
// Where the time of the steps goes: what a rank measures between two lines of the record.

#include <cstdint>
#include <vector>

#include "exec/program_set.h"

namespace ldmpi::train {

/// Sums over the steps since reset().
struct StepTotals {
  std::int64_t steps = 0;
  double seconds = 0;       ///< of whole steps, from the first wait for data to the last result
  double data_wait = 0;     ///< seconds that the reader made the step wait
  double checkpoint = 0;    ///< seconds that saving held up training
  double flops = 0;         ///< of the matrix products, convolutions and attentions that this rank has computed
  exec::PhaseSeconds phases{};

  void add(const StepTotals& other);
  /// Seconds in which the net was computed.
  [[nodiscard]] double compute() const;
  [[nodiscard]] double of(ir::Phase phase) const { return phases[static_cast<std::size_t>(phase)]; }
};

/// Operations of one run of each program, forward and backward, counted exactly (plan/cost.h).
[[nodiscard]] std::vector<double> flops_of_programs(const exec::ProgramSet& programs);

}  // namespace ldmpi::train
