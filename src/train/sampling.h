#pragma once
// Pictures from a net: what `ldmpi sample` and the samples during training have in common.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/codec.h"
#include "diffusion/sampler.h"
#include "exec/program_set.h"

namespace ldmpi::train {

/// What the pictures of a batch are drawn from, row behind row; only what the net takes is filled.
struct Conditions {
  std::vector<float> context;   ///< [N*T, D]
  std::vector<float> pooled;    ///< [N, E]
  std::vector<float> time_ids;  ///< [N, 6]
};

/// How they are drawn.
struct Drawing {
  diffusion::SamplerKind kind = diffusion::SamplerKind::DpmSolverPp;
  diffusion::ScheduleConfig schedule{};
  std::int64_t steps = 25;
  double guidance = 5;  ///< 1: `without` is not asked
  std::uint64_t seed = 0;
};

/// Latents, row behind row. `program` of the set is a bound build_prediction; its batch is that of `pictures`, the
/// numbers of the pictures: the starting noise is a function of seed and number alone. Errors: BadConfig for steps that
/// the schedule cannot take.
[[nodiscard]] std::vector<float> draw_latents(const Drawing& drawing, exec::ProgramSet& programs, int program,
                                              std::span<const std::uint64_t> pictures, const Conditions& with,
                                              const Conditions& without);

/// Whether no number is NaN or infinite.
[[nodiscard]] bool all_finite(std::span<const float> values);

/// The codec of that identity. Null, with a warning, where latents cannot be turned into pictures here: they are
/// written as they are.
[[nodiscard]] std::unique_ptr<data::Codec> find_codec(const std::string& id);

/// A safetensors file of one tensor "latents" [N,C,H,W].
void write_latents(const std::filesystem::path& file, std::span<const float> latents, const Shape& shape);

}  // namespace ldmpi::train
