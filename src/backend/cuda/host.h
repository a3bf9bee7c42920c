#pragma once
// The host side that all own CUDA kernels share: where they run, scratch, and sizes.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "backend/cuda_scratch.h"
#include "backend/kernel.h"

struct CUstream_st;

namespace ldmpi::backend::cuda {

/// cudaStream_t.
using Stream = CUstream_st*;

/// What kernels need from a device while they are made.
class Site {
 public:
  virtual ~Site() = default;
  /// Where run() enqueues.
  [[nodiscard]] virtual Stream stream() const = 0;
  /// A copy of `bytes` in device memory, 16-byte aligned, freed with the last owner.
  [[nodiscard]] virtual std::shared_ptr<const void> keep(std::span<const std::byte> bytes) = 0;
};

/// Threads of most kernels' blocks.
inline constexpr int kThreads = 256;

/// A kernel made of a function of its arguments.
template <typename Body>
class OwnKernel final : public Kernel {
 public:
  explicit OwnKernel(Body body) : body_(std::move(body)) {}
  void run(const KernelArgs& args) const override { body_(args); }

 private:
  Body body_;
};

template <typename Body>
[[nodiscard]] KernelPtr own_kernel(Body body) {
  return std::make_unique<const OwnKernel<Body>>(std::move(body));
}

/// Elements of a value as they are stored, padding included.
[[nodiscard]] std::int64_t stored_elements(const ir::Type& type);

/// Whether all pointers are 16-byte aligned.
[[nodiscard]] bool aligned(std::initializer_list<const void*> pointers);

// Throw Error(Internal): an element type, head or launch that no kernel can serve.
void expect_float(DType type);
[[noreturn]] void fail_launch(std::string_view error, unsigned blocks, unsigned threads, std::size_t shared_bytes);
void expect_head_width(std::int64_t width, std::int64_t widest);
/// Throws Error(Internal) unless all these types have the same element type.
void expect_equal_dtypes(std::string_view op, std::initializer_list<const ir::Type*> types);

}  // namespace ldmpi::backend::cuda
