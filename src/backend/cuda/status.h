#pragma once
// Error codes of the CUDA libraries as Error: what failed, what it means here, and what to do.

#include <string>
#include <string_view>

struct cudnnContext;

namespace ldmpi::backend::cuda {

/// Throw unless the code says success; `what` reads as in "cannot WHAT". Out of memory and unusable devices end with
/// NoDevice; what a device meets while it runs (ECC errors, lost devices, launch failures) with Requeue, so that a job
/// script may start again elsewhere; misuse with Internal. The code is the library's enumeration as a number.
void check_cuda(int code, std::string_view what);
void check_blas(int code, std::string_view what);
void check_cudnn(int code, std::string_view what);

/// The same for destructors: says so in the log and goes on.
void warn_cuda(int code, std::string_view what) noexcept;

}  // namespace ldmpi::backend::cuda
