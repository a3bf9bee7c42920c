#pragma once
// How the kernels of the CUDA backend divide their work and their workspace: plain arithmetic, because a plan for a GPU
// is made where there is none (formula_lowering.h). The kernels use the same functions.

#include <cstddef>
#include <cstdint>

namespace ldmpi::backend {

[[nodiscard]] constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}
[[nodiscard]] constexpr std::int64_t round_up(std::int64_t a, std::int64_t b) {
  return ceil_div(a, b) * b;
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

  constexpr Pieces(std::int64_t n, std::int64_t least, std::int64_t most)
      : extent(n), size(ceil_div(n, most) > least ? ceil_div(n, most) : least), count(ceil_div(n, size)) {}
};

namespace scratch {

/// Pixels of a sample in GroupNorm and its gradient.
[[nodiscard]] constexpr Pieces norm_pieces(std::int64_t pixels) { return {pixels, 32, 128}; }
/// Rows in the gradient of LayerNorm.
[[nodiscard]] constexpr Pieces row_pieces(std::int64_t rows) { return {rows, 64, 256}; }
/// Rows of a run in SumRows and SumPixels.
[[nodiscard]] constexpr Pieces sum_pieces(std::int64_t rows) { return {rows, 64, 128}; }
/// Elements of a sample in WeightedMse.
[[nodiscard]] constexpr Pieces loss_pieces(std::int64_t elements) { return {elements, 4096, 64}; }
/// Elements that a block of SumSquares or AdamW takes.
inline constexpr std::int64_t kUpdatePiece = 16384;

/// Convolution engines are asked to stay within this.
inline constexpr std::int64_t kConvolution = std::int64_t{64} << 20;
/// Matrix products: what cuBLASLt asks for on Hopper.
inline constexpr std::int64_t kMatMul = std::int64_t{32} << 20;
/// What fused attention takes beside its f32 dq.
inline constexpr std::int64_t kAttention = 4096;
/// The channels that tensor cores want, and the storage of convolution weights has.
inline constexpr std::int64_t kChannels = 8;

}  // namespace scratch
}  // namespace ldmpi::backend
