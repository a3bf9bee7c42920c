#include "backend/cuda/status.h"

#include <cuda_runtime_api.h>

#include "base/check.h"
#include "base/log.h"

namespace ldmpi::backend::cuda {
namespace {

struct Meaning {
  Exit exit = Exit::Internal;
  std::string_view remedy;
};

Meaning meaning_of(cudaError_t code) {
  switch (code) {
    case cudaErrorMemoryAllocation:
      return {Exit::NoDevice, "another process may hold memory of this GPU (nvidia-smi shows it); less is needed with a "
                              "smaller batch_size or with model.recompute_mib"};
    case cudaErrorInsufficientDriver:
      return {Exit::NoDevice, "the driver is older than this build's CUDA: update the driver, or build with an older "
                              "CUDA Toolkit"};
    case cudaErrorNoDevice: return {Exit::NoDevice, "no GPU is visible: check nvidia-smi and CUDA_VISIBLE_DEVICES"};
    case cudaErrorDevicesUnavailable:
      return {Exit::NoDevice, "the GPU is in exclusive mode and in use, or being reset: take another one"};
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
      return {Exit::NoDevice, "driver and CUDA libraries do not belong together: restart the node after a driver "
                              "update"};
    case cudaErrorSystemNotReady: return {Exit::NoDevice, "the fabric manager of the NVSwitch is not running"};
    case cudaErrorNoKernelImageForDevice:
      return {Exit::NoDevice, "this build has no code for the GPU: configure with its LDMPI_CUDA_ARCHITECTURES"};
    case cudaErrorECCUncorrectable:
      return {Exit::Requeue, "memory of the GPU is damaged: drain the node and reset or replace the GPU"};
    case cudaErrorHardwareStackError:
    case cudaErrorNvlinkUncorrectable:
      return {Exit::Requeue, "the hardware of the GPU failed (dmesg shows the XID): drain the node"};
    case cudaErrorLaunchTimeout: return {Exit::Requeue, "the GPU also drives a display, which stopped the kernel"};
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorAssert:
    case cudaErrorUnknown:
      return {Exit::Requeue, "a kernel failed; dmesg shows the XID. If it happens again on another GPU it is a defect "
                             "of the program: please report it with CUDA_LAUNCH_BLOCKING=1"};
    default: return {Exit::Internal, "this is a defect of the program or of its set-up: please report it"};
  }
}

}  // namespace

void check_cuda(int code, std::string_view what) {
  if (code == cudaSuccess) return;
  const auto error = static_cast<cudaError_t>(code);
  const auto [exit, remedy] = meaning_of(error);
  int device = -1;
  (void)cudaGetDevice(&device);
  fail(exit, "GPU {}: cannot {}: {} ({}, CUDA error {}). {}", device, what, cudaGetErrorString(error),
       cudaGetErrorName(error), code, remedy);
}

void warn_cuda(int code, std::string_view what) noexcept {
  if (code == cudaSuccess || code == cudaErrorCudartUnloading) return;
  log::warning("cannot {}: {}", what, cudaGetErrorString(static_cast<cudaError_t>(code)));
}

}  // namespace ldmpi::backend::cuda
