#pragma once
// "--print graph|schedule|plan|kernels": the stages of compiled programs as text.

#include <ostream>
#include <vector>

#include "config/config.h"
#include "exec/program_set.h"

namespace ldmpi::train {

/// Each stage of each program, under a heading with the program's name. Kernels need a set that is bound.
void print_stages(std::ostream& out, const std::vector<config::Stage>& stages, const exec::ProgramSet& programs);

}  // namespace ldmpi::train
