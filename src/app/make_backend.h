#pragma once
// Which backend a command runs on.

#include <memory>
#include <string>

#include "backend/kernel.h"
#include "comm/environment.h"
#include "config/config.h"

namespace ldmpi::app {

struct Backend {
  config::Device kind = config::Device::Cpu;
  std::unique_ptr<backend::Lowering> lowering;
  std::unique_ptr<backend::Device> device;
};

/// The backend for `device`; Auto takes CUDA where a usable GPU is, else the CPU. Throws Error(NoDevice) for CUDA where
/// it is not to be had, with the reason.
[[nodiscard]] Backend make_backend(config::Device device, const comm::Environment& environment);

/// Lowering only, for a target by name: cpu, cpu:threads=N, cuda, cuda:h100. Throws Error(BadConfig) for other names.
[[nodiscard]] std::unique_ptr<backend::Lowering> make_lowering(const std::string& target);

/// Threads of one rank: its share of the cores that its host allots, at least 1; OMP_NUM_THREADS goes first.
[[nodiscard]] int threads_per_rank(const comm::Environment& environment);

}  // namespace ldmpi::app
