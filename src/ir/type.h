#pragma once
// The type of a value: element type, logical shape, and the pitch that lets it live inside a wider tensor.

#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"

namespace ldmpi::ir {

/// Rows: activations, as below. Parameter: a convolution weight or its gradient, whose storage the backend chooses
/// (backend::WeightLayout); all other parameters are plain rows.
enum class Layout : std::uint8_t { Rows, Parameter };

/// Every tensor is a matrix of rows: an image [N,C,H,W] is stored channels-last, N*H*W rows (pixels) of C columns;
/// a token matrix [rows,columns] is the same bytes; a vector [n] is one row. Element (row, column) lies at
/// row * pitch + column, pitch >= columns. Only the planner chooses a pitch other than the columns.
struct Type {
  DType dtype = DType::F32;
  Shape shape;
  std::int64_t pitch = 0;  ///< elements from row to row; 0 stands for dense (equal to columns())
  Layout layout = Layout::Rows;

  [[nodiscard]] std::int64_t columns() const noexcept {
    return shape.rank() == 4 ? shape[1] : shape.rank() == 0 ? 1 : shape[-1];
  }
  [[nodiscard]] std::int64_t rows() const noexcept { return columns() == 0 ? 0 : shape.count() / columns(); }
  [[nodiscard]] std::int64_t row_pitch() const noexcept { return pitch == 0 ? columns() : pitch; }
  [[nodiscard]] bool dense() const noexcept { return row_pitch() == columns(); }
  [[nodiscard]] std::int64_t count() const noexcept { return shape.count(); }
  /// Bytes from the first to behind the last element if dense.
  [[nodiscard]] std::int64_t bytes() const noexcept { return count() * static_cast<std::int64_t>(size_of(dtype)); }
  /// "bf16[2,320,64,64]", with "/640" behind it where the pitch is not the columns.
  [[nodiscard]] std::string text() const;

  friend bool operator==(const Type&, const Type&) = default;
};

using Types = std::vector<Type>;

}  // namespace ldmpi::ir
