#pragma once
// The host side that all own CUDA kernels share: where they run, scratch, and sizes.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

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

[[nodiscard]] constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}
[[nodiscard]] constexpr std::int64_t round_up(std::int64_t a, std::int64_t b) {
  return ceil_div(a, b) * b;
}

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

/// Hands out parts of a workspace, each aligned to 64 bytes: with a null base it only counts.
class Scratch {
 public:
  explicit Scratch(void* base = nullptr) : base_(static_cast<std::byte*>(base)) {}
  template <typename T>
  T* take(std::int64_t count) {
    auto* part = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += static_cast<std::size_t>(round_up(count * static_cast<std::int64_t>(sizeof(T)), 64));
    return part;
  }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

/// `extent` in pieces of equal size (the last one may be smaller): at most `most`, none under `least`. A function of
/// the shapes only, hence reductions over pieces have a fixed shape.
struct Pieces {
  std::int64_t extent = 0;
  std::int64_t size = 1;
  std::int64_t count = 0;

  Pieces(std::int64_t n, std::int64_t least, std::int64_t most)
      : extent(n), size(ceil_div(n, most) > least ? ceil_div(n, most) : least), count(ceil_div(n, size)) {}
};

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
