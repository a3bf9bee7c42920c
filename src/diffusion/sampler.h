#pragma once
// From noise to latents, on the host: the steps between the model's calls.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "diffusion/noise_schedule.h"

namespace ldmpi::diffusion {

enum class SamplerKind : std::uint8_t {
  Ddim,        ///< eta 0
  DpmSolverPp  ///< DPM-Solver++(2M), first order in the first and the last step
};

/// One trajectory from standard normal noise. The latents have unit variance at the start for every kind.
class Sampler {
 public:
  virtual ~Sampler() = default;

  /// The timesteps to ask the model at, falling.
  [[nodiscard]] std::span<const std::int64_t> timesteps() const noexcept { return timesteps_; }
  /// Step i, to be called for i = 0, 1, ... in order: replaces the latents at timesteps()[i] by those at the next one,
  /// given the model's prediction there. Equal sizes at every step.
  virtual void step(std::size_t i, std::span<const float> prediction, std::span<float> latents) = 0;

 protected:
  explicit Sampler(std::vector<std::int64_t> timesteps) : timesteps_(std::move(timesteps)) {}

 private:
  std::vector<std::int64_t> timesteps_;
};

/// Throws Error(BadConfig) unless 1 <= steps < num_train_timesteps.
[[nodiscard]] std::unique_ptr<Sampler> make_sampler(SamplerKind kind, const ScheduleConfig& config, std::int64_t steps);

/// Falling timesteps of `steps` steps by the configured spacing and offset, as diffusers places them for this kind.
[[nodiscard]] std::vector<std::int64_t> sampling_timesteps(SamplerKind kind, const ScheduleConfig& config,
                                                           std::int64_t steps);

/// Writes the model's answer for `latents` at `timestep`, of the same size.
using Predict = std::function<void(std::int64_t timestep, std::span<const float> latents, std::span<float> prediction)>;

/// All steps in place.
void run_sampler(Sampler& sampler, std::span<float> latents, const Predict& predict);

/// Classifier-free guidance: unconditional += scale * (conditional - unconditional).
void guide(std::span<float> unconditional, std::span<const float> conditional, double scale);

}  // namespace ldmpi::diffusion
