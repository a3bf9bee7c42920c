#pragma once
// Which backend a command runs on.

#include <memory>
#include <string>

#include "backend/kernel.h"
#include "comm/communicator.h"
#include "comm/environment.h"
#include "config/config.h"

namespace ldmpi::app {

struct Backend {
  config::Device kind = config::Device::Cpu;
  std::unique_ptr<backend::Lowering> lowering;
  std::unique_ptr<backend::Device> device;
};

/// The backend for `device`; Auto takes CUDA where a usable GPU is, else the CPU. Throws Error(NoDevice) for CUDA where
/// it is not to be had, with the reason. On the CPU with OMP_NUM_THREADS threads; else with those of all cores
/// allotted.
[[nodiscard]] Backend make_backend(config::Device device, const comm::Environment& environment);
/// The same on all ranks: without OMP_NUM_THREADS each has its share of the cores. Collective; errors are agreed.
[[nodiscard]] Backend make_backend(config::Device device, const comm::Environment& environment,
                                   comm::Communicator& communicator);

/// Lowering only, for a target by name: cpu, cpu:threads=N, cuda, cuda:h100. Throws Error(BadConfig) for other names.
[[nodiscard]] std::unique_ptr<backend::Lowering> make_lowering(const std::string& target);

}  // namespace ldmpi::app
