#include "backend/cuda/host.h"

#include <algorithm>

#include "backend/formula_lowering.h"
#include "base/check.h"

namespace ldmpi::backend::cuda {

std::int64_t stored_elements(const ir::Type& type) {
  if (type.layout != ir::Layout::Parameter) return type.count();
  return make_formula_lowering("cuda")->weight_layout(type.shape).elements;
}

bool aligned(std::initializer_list<const void*> pointers) {
  return std::ranges::all_of(pointers, [](const void* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; });
}

void expect_float(DType type) {
  LDMPI_CHECK(type == DType::F32 || is_half(type), "no CUDA kernel for elements of {}", name_of(type));
}

void expect_head_width(std::int64_t width, std::int64_t widest) {
  LDMPI_CHECK(width <= widest, "an attention head of width {}: the own CUDA kernel goes to {}", width, widest);
}

void fail_launch(std::string_view error, unsigned blocks, unsigned threads, std::size_t shared_bytes) {
  fail(Exit::Internal, "launch of {} blocks of {} threads with {} bytes: {}", blocks, threads, shared_bytes, error);
}

void expect_equal_dtypes(std::string_view op, std::initializer_list<const ir::Type*> types) {
  const DType first = (*types.begin())->dtype;
  for (const auto* type : types)
    LDMPI_CHECK(type->dtype == first, "{} has operands of {} and {}", op, name_of(first), type->text());
}

}  // namespace ldmpi::backend::cuda
