#include "app/make_backend.h"

#include <charconv>

#include "app/cuda_plugin.h"
#include "app/gpus.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/formula_lowering.h"
#include "base/log.h"
#include "comm/agree.h"
#include "comm/cores.h"
#include "comm/locality.h"
#include "comm/staged.h"

namespace ldmpi::app {
namespace {

Backend cpu_backend(int threads) {
  return {config::Device::Cpu, backend::make_cpu_lowering(threads), backend::make_cpu_device(threads), nullptr};
}

bool takes_cuda(config::Device asked, const comm::Environment& environment) {
  if (asked == config::Device::Cpu) return false;
  const auto gpus = find_gpus(environment.visible_devices);
  if (gpus.nodes > 0) return true;
  require(asked != config::Device::Cuda, Exit::NoDevice, "--device cuda, but {}. Use a node with a GPU, or --device cpu",
          gpus.why_none);
  log::debug("on the CPU: {}", gpus.why_none);
  return false;
}

/// How to start as many ranks on a host as it has GPUs.
std::string line_with(const comm::Environment& environment, int gpus) {
  if (environment.relaunched) return fmt::format("--num_gpus {}", gpus);
  if (environment.launcher == comm::Launcher::Srun)
    return fmt::format("srun --mpi=pmix --ntasks-per-node={} (job_scripts/slurm_srun.sbatch: RANKS_PER_NODE={})", gpus,
                       gpus);
  return fmt::format("mpirun --map-by ppr:{}:node (job_scripts: RANKS_PER_NODE={})", gpus, gpus);
}

/// GPU of this rank: one each, in the order of the ranks of the host; the driver numbers them by PCI address. Where the
/// launcher shows each rank one GPU only, that.
int gpu_of(const comm::Environment& environment, const comm::Locality& place, int visible, bool allow_shared) {
  if (visible == 1 || allow_shared) return place.rank % visible;
  require(place.rank < visible, Exit::NoDevice, "{} ranks on {}, which has {} GPUs for them: one rank per GPU. Use {}",
          place.ranks, environment.host, visible, line_with(environment, visible));
  return place.rank;
}

Backend cuda_backend(const BackendChoice& choice, const comm::Environment& environment, const comm::Locality& place) {
  const auto& plugin = load_cuda_plugin();
  const int visible = plugin.device_count();
  require(visible > 0, Exit::NoDevice, "the driver shows no GPU to this process: check nvidia-smi and CUDA_VISIBLE_DEVICES");
  const int gpu = gpu_of(environment, place, visible, choice.allow_shared_gpu);
  auto device = plugin.make_device(gpu, {choice.tf32, choice.deterministic});
  const int cores = comm::stay_near(device->identity());
  log::debug("on GPU {} at {}, {}", gpu, device->identity(),
             cores > 0 ? fmt::format("on the {} cores beside it", cores) : "on any core");
  return {config::Device::Cuda, backend::make_formula_lowering("cuda"), std::move(device), nullptr};
}

/// Two ranks on one GPU would hang in NCCL, and share its memory and time.
void refuse_shared_gpus(comm::Communicator& communicator, const backend::Device& device) {
  const auto identities = communicator.all_gather_text(device.identity());
  const auto& hosts = communicator.hosts();
  for (std::size_t a = 0; a < identities.size(); ++a)
    for (std::size_t b = a + 1; b < identities.size(); ++b)
      if (hosts[a] == hosts[b] && identities[a] == identities[b])
        throw comm::AgreedError(
            Exit::BadConfig, fmt::format("ranks {} and {} both run on GPU {} of {}. Start one rank per GPU, or say "
                                         "--comm.allow_shared_gpu on (collectives then go over the host)",
                                         a, b, identities[a], hosts[a]));
}

void choose_collectives(const BackendChoice& choice, comm::Communicator& communicator, Backend& backend) {
  if (!choice.allow_shared_gpu) refuse_shared_gpus(communicator, *backend.device);
  comm::agree_equal(communicator, "their GPUs", backend.device->description(),
                    "give the job nodes of one kind, with the same driver and libraries", Exit::NoDevice);
  const bool nccl = choice.collectives == config::CommBackend::Nccl ||
                    (choice.collectives == config::CommBackend::Auto && communicator.size() > 1 &&
                     !choice.allow_shared_gpu);
  if (nccl)
    backend.collectives =
        load_cuda_plugin().make_nccl(communicator, *backend.device, {choice.tf32, choice.deterministic});
  else if (communicator.size() > 1)
    backend.collectives = comm::make_staged_collectives(communicator, *backend.device);
}

}  // namespace

BackendChoice choice_of(const config::TrainConfig& config) {
  return {config.device, config.precision == config::Precision::Tf32, config.deterministic, config.comm.backend,
          config.comm.allow_shared_gpu};
}

Backend make_backend(const BackendChoice& choice, const comm::Environment& environment) {
  if (takes_cuda(choice.device, environment)) return cuda_backend(choice, environment, {});
  return cpu_backend(environment.threads.value_or(comm::allotted_cores()));
}

Backend make_backend(const BackendChoice& choice, const comm::Environment& environment,
                     comm::Communicator& communicator) {
  const int cores = comm::cores_of_rank(communicator);
  const bool cuda = comm::agree(communicator, [&] { return takes_cuda(choice.device, environment); });
  comm::agree_equal(communicator, "having a GPU", cuda ? "yes" : "no",
                    "say --device cpu or --device cuda, or leave the odd nodes out", Exit::NoDevice);
  const auto place = comm::locality();
  auto backend = comm::agree(communicator, [&] {
    require(cuda || choice.collectives != config::CommBackend::Nccl, Exit::BadConfig,
            "comm.backend nccl works between GPUs only; on the CPU use auto or mpi");
    return cuda ? cuda_backend(choice, environment, place) : cpu_backend(environment.threads.value_or(cores));
  });
  if (cuda) choose_collectives(choice, communicator, backend);
  return backend;
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
