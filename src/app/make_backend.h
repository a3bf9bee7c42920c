#pragma once
// Which backend a command runs on.

#include <memory>
#include <string>

#include "backend/kernel.h"
#include "comm/communicator.h"
#include "comm/environment.h"
#include "config/config.h"

namespace ldmpi::app {

/// What the options say about the machine.
struct BackendChoice {
  config::Device device = config::Device::Auto;
  bool tf32 = false;
  bool deterministic = false;
  config::CommBackend collectives = config::CommBackend::Auto;
  bool allow_shared_gpu = false;
};
[[nodiscard]] BackendChoice choice_of(const config::TrainConfig& config);

struct Backend {
  config::Device kind = config::Device::Cpu;
  std::unique_ptr<backend::Lowering> lowering;
  std::unique_ptr<backend::Device> device;
  std::unique_ptr<comm::Collectives> collectives;  ///< null: those of the ranks' communicator

  [[nodiscard]] comm::Collectives& collectives_or(comm::Communicator& communicator) const {
    return collectives ? *collectives : communicator;
  }
};

/// The backend of a process that is alone. Auto takes the CPU only where no NVIDIA GPU is there, or allotted to this
/// process. Throws Error(NoDevice) with the reason where a GPU is there and cannot be used, or was asked for and is not
/// there. On the CPU with OMP_NUM_THREADS threads; else with those of all cores allotted.
[[nodiscard]] Backend make_backend(const BackendChoice& choice, const comm::Environment& environment);
/// The same on all ranks, each with a GPU of its own, in the order of their local ranks, and with the collectives of
/// the choice; on the CPU each has its share of the cores. Collective; errors are agreed.
[[nodiscard]] Backend make_backend(const BackendChoice& choice, const comm::Environment& environment,
                                   comm::Communicator& communicator);

/// Lowering only, for a target by name: cpu, cpu:threads=N, cuda, cuda:h100. Throws Error(BadConfig) for other names.
[[nodiscard]] std::unique_ptr<backend::Lowering> make_lowering(const std::string& target);

}  // namespace ldmpi::app
