#include "train/step_meter.h"

#include "plan/cost.h"

namespace ldmpi::train {

void StepTotals::add(const StepTotals& other) {
  steps += other.steps;
  seconds += other.seconds;
  data_wait += other.data_wait;
  checkpoint += other.checkpoint;
  flops += other.flops;
  for (std::size_t i = 0; i < phases.size(); ++i) phases[i] += other.phases[i];
}

double StepTotals::compute() const {
  return of(ir::Phase::Forward) + of(ir::Phase::Backward);
}

std::vector<double> flops_of_programs(const exec::ProgramSet& programs) {
  std::vector<double> flops;
  for (const auto& program : programs.programs())
    flops.push_back(static_cast<double>(plan::graph_flops(program.graph, ir::Phase::Forward) +
                                        plan::graph_flops(program.graph, ir::Phase::Backward)));
  return flops;
}

}  // namespace ldmpi::train
