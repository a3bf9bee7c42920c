#include "app/cuda_plugin.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <filesystem>

#include "base/build_info.h"
#include "base/check.h"

namespace ldmpi::app {
namespace {

const CudaPlugin& load() {
  const auto file = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "lib" /
                    "libldmpi_cuda.so";
  require(std::filesystem::exists(file), Exit::NoDevice,
          "the CUDA backend {} is not there: configure with -DLDMPI_CUDA=ON on a machine with the CUDA Toolkit "
          "(job_scripts/bootstrap.sh --cuda installs it), or use --device cpu",
          file.string());
  // GPUs are numbered by PCI address, as nvidia-smi and Slurm do it. Read by the driver when it starts.
  setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 0);
  // Never closed: kernels and libraries of it may be in use until the process ends.
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    fail(Exit::NoDevice,
         "the CUDA backend cannot be loaded: {}. A missing library of CUDA, cuDNN or NCCL must be found by the loader: "
         "source job_scripts/env.sh, set LD_LIBRARY_PATH, or use --device cpu",
         dlerror());
  using Entry = const CudaPlugin*(const char*);
  auto* entry = reinterpret_cast<Entry*>(dlsym(library, "ldmpi_cuda_plugin"));
  const auto* plugin = entry == nullptr ? nullptr : entry(build_id().c_str());
  require(plugin != nullptr, Exit::NoDevice,
          "the CUDA backend {} is of another build than this program ({}): build both together", file.string(),
          build_id());
  return *plugin;
}

}  // namespace

const CudaPlugin& load_cuda_plugin() {
  static const CudaPlugin& plugin = load();
  return plugin;
}

}  // namespace ldmpi::app
