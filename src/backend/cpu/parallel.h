#pragma once
// How own kernels share work. Results never depend on the number of threads: work is cut into pieces whose number
// follows from the shapes, and partial results are combined in the order of the pieces.

#include <omp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "backend/kernel.h"
#include "base/check.h"

namespace ldmpi::backend::cpu {

/// Threads of a kernel prepared now; what per-thread scratch is counted by.
[[nodiscard]] inline int threads() {
  return omp_get_max_threads();
}

[[nodiscard]] constexpr std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}
[[nodiscard]] constexpr std::int64_t round_up(std::int64_t a, std::int64_t b) {
  return ceil_div(a, b) * b;
}

/// Below this many elements waking the other threads costs more than they save.
inline constexpr std::int64_t kSerialWork = 16384;

/// body(i) for i in [0, count), neighbours on one thread; `work` is the total of elements touched.
template <typename Body>
void parallel_for(std::int64_t count, std::int64_t work, const Body& body) {
  // Not an if clause: a region of one thread takes its team from the heap each time.
  if (work <= kSerialWork || count <= 1 || threads() == 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

/// body(i, thread) for i in [0, count) on at most `team` threads, handed out one by one.
template <typename Body>
void parallel_tasks(int team, std::int64_t count, std::int64_t work, const Body& body) {
  if (work <= kSerialWork || count <= 1 || team == 1) {
    for (std::int64_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
#pragma omp parallel for schedule(dynamic, 1) num_threads(team)
  for (std::int64_t i = 0; i < count; ++i) body(i, omp_get_thread_num());
}

/// `extent` in pieces of equal size (the last one may be smaller): at most 64, none under `least`.
struct Pieces {
  std::int64_t extent = 0;
  std::int64_t size = 1;

  Pieces(std::int64_t n, std::int64_t least) : extent(n), size(std::max(least, ceil_div(n, 64))) {}
  [[nodiscard]] std::int64_t count() const { return ceil_div(extent, size); }
  [[nodiscard]] std::int64_t begin(std::int64_t i) const { return i * size; }
  [[nodiscard]] std::int64_t end(std::int64_t i) const { return std::min(extent, (i + 1) * size); }
};

/// Walks K operands of equal rows and columns and any pitch: as one long row where all are dense.
template <std::size_t K>
class Spans {
 public:
  explicit Spans(const std::array<const ir::Type*, K>& types) : rows_(types[0]->rows()), columns_(types[0]->columns()) {
    for (std::size_t k = 0; k < K; ++k) {
      pitch_[k] = types[k]->row_pitch();
      flat_ = flat_ && types[k]->dense();
    }
  }
  /// body(offsets, n): n neighbouring elements that begin at offsets[k] of operand k.
  template <typename Body>
  void run(const Body& body) const {
    constexpr std::int64_t kPiece = 8192;
    const std::int64_t total = rows_ * columns_;
    std::array<std::int64_t, K> zero{};
    if (flat_ && total <= kSerialWork) return body(zero, total);
    if (flat_) {
      parallel_for(ceil_div(total, kPiece), total, [&](std::int64_t i) {
        std::array<std::int64_t, K> offsets;
        offsets.fill(i * kPiece);
        body(offsets, std::min(kPiece, total - i * kPiece));
      });
    } else {
      parallel_for(rows_, total, [&](std::int64_t row) {
        std::array<std::int64_t, K> offsets;
        for (std::size_t k = 0; k < K; ++k) offsets[k] = row * pitch_[k];
        body(offsets, columns_);
      });
    }
  }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
  std::array<std::int64_t, K> pitch_{};
  bool flat_ = true;
};

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

/// Throws Error(Internal) unless every operand is f32: for kernels without conversions of their own.
inline void expect_f32(std::string_view op, const NodeTypes& types) {
  for (const auto* side : {&types.inputs, &types.outputs})
    for (const ir::Type& type : *side)
      LDMPI_CHECK(type.dtype == DType::F32, "the kernel of {} is for f32, not {}", op, type.text());
}

}  // namespace ldmpi::backend::cpu
