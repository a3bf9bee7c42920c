#include "train/sampling.h"

#include <algorithm>

#include "base/log.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "train/step_graph.h"

namespace ldmpi::train {
namespace {

void put_rows(exec::ProgramSet& programs, int program, std::string_view name, std::span<const float> values) {
  const std::string label(name);
  if (programs.has_input(program, label)) programs.write_input(program, label, values.data(), values.size_bytes());
}

void predict_batch(exec::ProgramSet& programs, int program, std::int64_t timestep, std::span<const float> latents,
             const Conditions& conditions, std::span<float> prediction) {
  const auto samples = programs.input_type(program, std::string(label::kTimesteps)).count();
  const std::vector<float> timesteps(static_cast<std::size_t>(samples), static_cast<float>(timestep));
  put_rows(programs, program, label::kTimesteps, timesteps);
  put_rows(programs, program, label::kSample, latents);
  put_rows(programs, program, label::kContext, conditions.context);
  put_rows(programs, program, label::kPooled, conditions.pooled);
  put_rows(programs, program, label::kTimeIds, conditions.time_ids);
  (void)programs.run(program);
  programs.read_output(program, std::string(label::kPrediction), prediction.data(), prediction.size_bytes());
}

}  // namespace

std::vector<float> draw_latents(const Drawing& drawing, exec::ProgramSet& programs, int program,
                                std::span<const std::uint64_t> pictures, const Conditions& with,
                                const Conditions& without) {
  const auto all = static_cast<std::size_t>(programs.input_type(program, std::string(label::kSample)).count());
  const auto elements = all / pictures.size();
  std::vector<float> latents(all);
  for (std::size_t row = 0; row < pictures.size(); ++row) {
    const Draw draw{drawing.seed, Purpose::Sampler, pictures[row]};
    for (std::size_t i = 0; i < elements; ++i) latents[row * elements + i] = draw.normal(i);
  }
  std::vector<float> conditional(all);
  const auto sampler = diffusion::make_sampler(drawing.kind, drawing.schedule, drawing.steps);
  diffusion::run_sampler(*sampler, latents,
                         [&](std::int64_t timestep, std::span<const float> x, std::span<float> prediction) {
                           if (drawing.guidance == 1.0) {
                             predict_batch(programs, program, timestep, x, with, prediction);
                             return;
                           }
                           predict_batch(programs, program, timestep, x, without, prediction);
                           predict_batch(programs, program, timestep, x, with, conditional);
                           diffusion::guide(prediction, conditional, drawing.guidance);
                         });
  return latents;
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return v - v == 0; });
}

std::unique_ptr<data::Codec> find_codec(const std::string& id) try {
  if (!id.empty()) return data::Codec::from_id(id);
  log::warning("it is not known how pictures are made of these latents: only latents are written");
  return nullptr;
} catch (const Error& e) {
  log::warning("{}: only latents are written", e.what());
  return nullptr;
}

void write_latents(const std::filesystem::path& file, std::span<const float> latents, const Shape& shape) {
  const std::vector<io::TensorSpec> specs{{"latents",
                                           DType::F32,
                                           {static_cast<std::int64_t>(latents.size()) / shape.count(), shape[0],
                                            shape[1], shape[2]}}};
  io::SafetensorsWriter writer(file, specs);
  (void)writer.write(std::size_t{0}, latents);
  writer.finish();
}

}  // namespace ldmpi::train
