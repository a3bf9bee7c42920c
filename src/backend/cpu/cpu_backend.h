#pragma once
// The CPU backend: oneDNN for convolutions and matrix products, own OpenMP kernels for everything else, f32 inside.

#include <memory>

#include "backend/kernel.h"

namespace ldmpi::backend {

/// Lowering and device for `threads` OpenMP threads; 0 stands for all cores allotted to the process. Both set the
/// number of threads of the calling thread, which must also be the one that runs the kernels.
[[nodiscard]] std::unique_ptr<Lowering> make_cpu_lowering(int threads);
[[nodiscard]] std::unique_ptr<Device> make_cpu_device(int threads);

/// The kernel of one node for the current number of threads. Throws Error(Internal) for an op that exec handles
/// itself and for types that the op cannot serve.
[[nodiscard]] KernelPtr make_cpu_kernel(const ir::Op& op, const NodeTypes& types);

/// What the backend answers for one node for the current number of threads.
[[nodiscard]] NodeAnswer cpu_answer(const ir::Op& op, const NodeTypes& types);

/// Makes waiting OpenMP threads sleep instead of spin, unless the user set OMP_WAIT_POLICY or GOMP_SPINCOUNT: where
/// cores are shared, spinning costs a multiple of the step. The OpenMP library reads its environment when it is
/// loaded, hence this starts the same program once more in the same process; to be called first in main, before
/// threads and MPI exist. Returns where nothing was to be done, or the restart is not possible.
void prefer_passive_threads(char** argv);

}  // namespace ldmpi::backend
