#pragma once
// What the CUDA backend says about a node while lowering: pure functions of its types, so that they hold for a GPU that
// is not there.

#include "backend/kernel.h"
#include "ir/op.h"

namespace ldmpi::backend {

/// Workspace bounds: own kernels their partial results (cuda_scratch.h); convolutions 64 MiB for the engine and copies
/// of operands whose channels are no multiple of 8; matrix products 32 MiB; fused attention backward its f32 dq.
/// Throws Error(Internal) for an op without a kernel.
[[nodiscard]] NodeAnswer cuda_answer(const ir::Op& op, const NodeTypes& types);

/// Whether attention of these operands may go to cuDNN: 16-bit types, head widths that are multiples of 8 up to 256.
/// Its engines on a device may still refuse; then the own kernel serves.
[[nodiscard]] bool fused_attention_may_serve(const ir::Attention& op, const ir::Type& q);

}  // namespace ldmpi::backend
