#pragma once
// Whole training steps of models, planned without a device.

#include <memory>
#include <string>
#include <string_view>

#include "backend/kernel.h"
#include "exec/program_set.h"
#include "train/parameter_io.h"
#include "train/step_graph.h"

namespace ldmpi::plan::test {

struct StepOptions {
  DType compute = DType::F32;
  std::int64_t batch = 2;
  int ranks = 1;
  int shards = 1;
  int rank = 0;
  std::int64_t bucket_bytes = 1 << 16;
};

/// A small net with every kind of block: 2 levels, attention in one of them.
[[nodiscard]] nn::UnetConfig tiny_unet();
/// The configuration of a model in job_scripts/models.
[[nodiscard]] nn::UnetConfig shipped_unet(std::string_view model);

/// The step program of a model.
class StepProgram {
 public:
  StepProgram(nn::UnetConfig unet, const backend::Lowering& lowering, const StepOptions& options);
  StepProgram(const StepProgram&) = delete;
  StepProgram& operator=(const StepProgram&) = delete;

  /// The graph of the step, as it is handed to the planner.
  [[nodiscard]] const ir::Graph& graph() const noexcept { return graph_; }
  [[nodiscard]] const train::ParameterIo& parameters() const noexcept { return parameters_; }
  [[nodiscard]] const train::StepSpec& spec() const noexcept { return spec_; }
  /// Plans a graph over the step's parameters. Throws Error(Internal) if the plan is not safe.
  [[nodiscard]] std::unique_ptr<exec::ProgramSet> compile(const ir::Graph& graph) const;
  /// What verify asks for; places are those of the plan.
  [[nodiscard]] PlanInputs inputs(const exec::Program& program) const;

 private:
  const nn::UnetConfig unet_;
  const nn::ParameterTable table_;
  const backend::Lowering& lowering_;
  const train::ParameterIo parameters_;
  train::StepSpec spec_;
  ir::Graph graph_;
};

}  // namespace ldmpi::plan::test
