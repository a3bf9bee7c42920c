#include "step_programs.h"

#include <cstdlib>
#include <fstream>

#include "base/check.h"

namespace ldmpi::plan::test {

nn::UnetConfig tiny_unet() {
  return nn::parse_unet_config(R"({"sample_size": 8, "block_out_channels": [8, 16], "layers_per_block": 1,
      "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
      "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
      "norm_num_groups": 4, "attention_head_dim": 2, "cross_attention_dim": 12})",
                               "tiny");
}

nn::UnetConfig shipped_unet(std::string_view model) {
  const char* root = std::getenv("LDMPI_SOURCE_DIR");
  require(root != nullptr, Exit::MissingInput, "LDMPI_SOURCE_DIR is not set");
  const auto path = fmt::format("{}/job_scripts/models/{}/unet/config.json", root, model);
  std::ifstream file(path);
  require(file.good(), Exit::MissingInput, "{} is missing", path);
  return nn::parse_unet_config(std::string(std::istreambuf_iterator<char>(file), {}), path);
}

StepProgram::StepProgram(nn::UnetConfig unet, const backend::Lowering& lowering, const StepOptions& options)
    : unet_(std::move(unet)),
      table_(unet_),
      lowering_(lowering),
      parameters_(table_, lowering, options.bucket_bytes, options.compute, options.shards) {
  spec_.unet = &unet_;
  spec_.table = &table_;
  spec_.storage = &parameters_.storage();
  spec_.compute = options.compute;
  spec_.rank = options.rank;
  spec_.ranks = options.ranks;
  spec_.update.ema = true;
  const train::BatchSpec batch{{options.batch, unet_.in_channels, unet_.sample_size, unet_.sample_size},
                               options.batch == 1 ? 77 : 7,
                               unet_.cross_attention_dim,
                               false};
  graph_ = train::build_step(spec_, train::Role::Step,
                             train::training_loss(spec_, batch, {.schedule = {}, .caption_dropout = 0.1}));
}

std::unique_ptr<exec::ProgramSet> StepProgram::compile(const ir::Graph& graph) const {
  auto programs = std::make_unique<exec::ProgramSet>(lowering_, parameters_.storage());
  (void)programs->add("step", graph);
  programs->compile();
  return programs;
}

PlanInputs StepProgram::inputs(const exec::Program& program) const {
  return {program.facts, {}, {}, [this](const Shape& shape) { return lowering_.weight_layout(shape).elements; }};
}

}  // namespace ldmpi::plan::test
