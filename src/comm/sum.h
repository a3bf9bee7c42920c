#pragma once
// Element-wise sums of host buffers, the arithmetic of the collectives.

#include <cstddef>

#include "base/dtype.h"

namespace ldmpi::comm {

/// True for the types that add_into can sum: F32, F64, BF16, F16, I64.
[[nodiscard]] bool can_sum(DType type) noexcept;

/// target[i] += source[i] for `count` elements; 16-bit types are added in float and rounded to nearest even.
void add_into(void* target, const void* source, std::size_t count, DType type);

}  // namespace ldmpi::comm
