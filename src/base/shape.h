#pragma once
// A logical tensor shape: up to kMaxRank extents, row-major by convention ([N,C,H,W] or [rows,columns]).

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace ldmpi {

class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);

  [[nodiscard]] int rank() const noexcept { return rank_; }
  /// Extent of axis i; negative i counts from the end.
  [[nodiscard]] std::int64_t operator[](int i) const noexcept {
    return extents_[static_cast<std::size_t>(i < 0 ? i + rank_ : i)];
  }
  [[nodiscard]] std::span<const std::int64_t> extents() const noexcept {
    return {extents_.data(), static_cast<std::size_t>(rank_)};
  }
  /// Product of all extents; 1 for rank 0.
  [[nodiscard]] std::int64_t count() const noexcept;
  /// [rows, *this]
  [[nodiscard]] Shape repeated(std::uint64_t rows) const;
  /// "[2,320,64,64]"
  [[nodiscard]] std::string text() const;

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

}  // namespace ldmpi
