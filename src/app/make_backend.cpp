#include "app/make_backend.h"

#include <charconv>

#include "backend/cpu/cpu_backend.h"
#include "backend/formula_lowering.h"
#include "comm/agree.h"
#include "comm/cores.h"

namespace ldmpi::app {

namespace {

Backend backend_of(config::Device device, int threads) {
  require(device != config::Device::Cuda, Exit::NoDevice,
          "--device cuda, but this build has the CPU backend only. Use --device cpu, or build where the CUDA backend "
          "is supported");
  return {config::Device::Cpu, backend::make_cpu_lowering(threads), backend::make_cpu_device(threads)};
}

}  // namespace

Backend make_backend(config::Device device, const comm::Environment& environment) {
  return backend_of(device, environment.threads.value_or(comm::allotted_cores()));
}

Backend make_backend(config::Device device, const comm::Environment& environment, comm::Communicator& communicator) {
  const int cores = comm::cores_of_rank(communicator);
  return comm::agree(communicator, [&] { return backend_of(device, environment.threads.value_or(cores)); });
}

std::unique_ptr<backend::Lowering> make_lowering(const std::string& target) {
  if (target == "cpu") return backend::make_cpu_lowering(0);
  constexpr std::string_view kThreads = "cpu:threads=";
  if (target.starts_with(kThreads)) {
    int threads = 0;
    const auto* end = target.data() + target.size();
    const auto [stop, error] = std::from_chars(target.data() + kThreads.size(), end, threads);
    require(error == std::errc{} && stop == end && threads >= 1 && threads <= 4096, Exit::BadConfig,
            "--target {}: the number of threads is not a number from 1 to 4096", target);
    return backend::make_cpu_lowering(threads);
  }
  return backend::make_formula_lowering(target);
}

}  // namespace ldmpi::app
