#pragma once
// The door to the CUDA plugin, libldmpi_cuda.so: the program itself links nothing of CUDA and starts anywhere.

#include <memory>
#include <string>

#include "backend/kernel.h"
#include "comm/communicator.h"

namespace ldmpi::app {

struct CudaOptions {
  bool tf32 = false;
  bool deterministic = false;
};

/// What the plugin offers. All functions throw Error(NoDevice) with the reason where the GPU cannot be used.
class CudaPlugin {
 public:
  virtual ~CudaPlugin() = default;
  /// GPUs that the driver shows to this process.
  [[nodiscard]] virtual int device_count() const = 0;
  [[nodiscard]] virtual std::unique_ptr<backend::Device> make_device(int index, const CudaOptions& options) const = 0;
  /// Collectives over NCCL beside the work of `device`. Collective on `host`.
  [[nodiscard]] virtual std::unique_ptr<comm::Collectives> make_nccl(comm::Communicator& host, backend::Device& device,
                                                                     const CudaOptions& options) const = 0;
};

/// Loads the plugin from beside the program (../lib/libldmpi_cuda.so), once; it stays until the process ends. Throws
/// Error(NoDevice) where it is absent, cannot be loaded, or belongs to another build.
[[nodiscard]] const CudaPlugin& load_cuda_plugin();

/// The plugin's only symbol. Returns null unless `build` is the plugin's own build (base/build_info.h).
extern "C" const CudaPlugin* ldmpi_cuda_plugin(const char* build);

}  // namespace ldmpi::app
