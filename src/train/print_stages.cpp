#include "train/print_stages.h"

#include "ir/print.h"
#include "plan/report.h"

namespace ldmpi::train {

void print_stages(std::ostream& out, const std::vector<config::Stage>& stages, const exec::ProgramSet& programs) {
  constexpr int kValuesAtPeak = 20;
  for (std::size_t p = 0; p < programs.programs().size(); ++p) {
    const auto& program = programs.programs()[p];
    for (auto stage : stages) {
      out << "== " << program.name << "\n";
      switch (stage) {
        case config::Stage::Graph: out << ir::print(program.graph); break;
        case config::Stage::Schedule: out << plan::print_schedule(program.graph, program.plan); break;
        case config::Stage::Plan: out << plan::print_peak(program.graph, program.plan, kValuesAtPeak); break;
        case config::Stage::Kernels: out << programs.print_kernels(static_cast<int>(p)); break;
      }
    }
  }
  out << std::flush;
}

}  // namespace ldmpi::train
