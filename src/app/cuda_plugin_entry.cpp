// The plugin's side of cuda_plugin.h: linked into libldmpi_cuda.so only.

#include "app/cuda_plugin.h"
#include "backend/cuda/cuda_device.h"
#include "base/build_info.h"
#include "comm/nccl.h"

namespace ldmpi::app {
namespace {

class Plugin final : public CudaPlugin {
 public:
  int device_count() const override { return backend::cuda::device_count(); }
  std::unique_ptr<backend::Device> make_device(int index, const CudaOptions& options) const override {
    return backend::cuda::make_device(index, {.tf32 = options.tf32, .deterministic = options.deterministic});
  }
  std::unique_ptr<comm::Collectives> make_nccl(comm::Communicator& host, backend::Device& device,
                                               const CudaOptions& options) const override {
    return comm::make_nccl_collectives(host, device.native_stream(), {.deterministic = options.deterministic});
  }
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const CudaPlugin* ldmpi_cuda_plugin(const char* build) {
  static const Plugin plugin;
  return build_id() == build ? &plugin : nullptr;
}

}  // namespace ldmpi::app
