#pragma once
// How parameter blocks are stored: convolution weights in the blocks that oneDNN's kernels read, all else row-major.

#include <span>

#include "backend/kernel.h"

namespace ldmpi::backend::cpu {

/// Whether a block of this shape is a convolution weight [O,C,k,k] kept in blocks of 8 x 8 channels ("OIhw8i8o").
/// 1x1 convolutions are matrix products here, hence row-major.
[[nodiscard]] bool is_blocked(const Shape& block);

[[nodiscard]] WeightLayout weight_layout_of(const Shape& block);
/// Between canonical (row-major O,C,k,k) and storage order; padding becomes zero. Sizes as the layout says.
void pack_weight(const Shape& block, std::span<const float> canonical, std::span<float> storage);
void unpack_weight(const Shape& block, std::span<const float> storage, std::span<float> canonical);

}  // namespace ldmpi::backend::cpu
