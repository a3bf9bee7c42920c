#include <cublasLt.h>
#include <cudnn.h>

#include "backend/cuda/status.h"
#include "base/check.h"

namespace ldmpi::backend::cuda {

void check_blas(int code, std::string_view what) {
  if (code == CUBLAS_STATUS_SUCCESS) return;
  const auto status = static_cast<cublasStatus_t>(code);
  fail(status == CUBLAS_STATUS_NOT_INITIALIZED || status == CUBLAS_STATUS_ALLOC_FAILED ? Exit::NoDevice
                                                                                       : Exit::Internal,
       "cuBLASLt cannot {}: status {}", what, code);
}

void check_cudnn(int code, std::string_view what) {
  if (code == CUDNN_STATUS_SUCCESS) return;
  const auto status = static_cast<cudnnStatus_t>(code);
  char message[512] = "";
  cudnnGetLastErrorString(message, sizeof message);
  fail(status == CUDNN_STATUS_NOT_INITIALIZED ? Exit::NoDevice : Exit::Internal, "cuDNN cannot {}: {} {}", what,
       cudnnGetErrorString(status), message);
}

}  // namespace ldmpi::backend::cuda
