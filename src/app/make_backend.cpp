#include "app/make_backend.h"

#include <sched.h>

#include <charconv>
#include <cstdlib>
#include <thread>

#include "backend/cpu/cpu_backend.h"
#include "backend/formula_lowering.h"

namespace ldmpi::app {
namespace {

int allotted_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

}  // namespace

int threads_per_rank(const comm::Environment& environment) {
  if (environment.threads) return *environment.threads;
  const int cores = allotted_cores();
  // A launcher that binds gives each rank its own cores already.
  const bool bound = cores < static_cast<int>(std::thread::hardware_concurrency());
  return std::max(1, bound ? cores : cores / std::max(1, environment.local_ranks));
}

Backend make_backend(config::Device device, const comm::Environment& environment) {
  require(device != config::Device::Cuda, Exit::NoDevice,
          "--device cuda, but this build has the CPU backend only. Use --device cpu, or build where the CUDA backend "
          "is supported");
  const int threads = threads_per_rank(environment);
  return {config::Device::Cpu, backend::make_cpu_lowering(threads), backend::make_cpu_device(threads)};
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
