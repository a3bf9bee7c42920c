#pragma once
// Tensors of the op tests: a type and its values in double precision, and random ones.

#include <cstdint>
#include <random>
#include <vector>

#include "ir/op.h"

namespace ldmpi::test {

/// Values row by row without gaps (images channels-last); parameters in canonical order.
using Array = std::vector<double>;

struct Tensor {
  ir::Type type;
  Array values;
};
using Tensors = std::vector<Tensor>;

/// Images by (n, c, h, w).
class Image {
 public:
  explicit Image(const Tensor& tensor) : Image(tensor.type, tensor.values) {}
  Image(const ir::Type& type, const Array& values) : shape_(type.shape), values_(values) {}
  [[nodiscard]] double operator()(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) const {
    return values_[index(shape_, n, c, h, w)];
  }
  [[nodiscard]] static std::size_t index(const Shape& shape, std::int64_t n, std::int64_t c, std::int64_t h,
                                         std::int64_t w) {
    return static_cast<std::size_t>(((n * shape[2] + h) * shape[3] + w) * shape[1] + c);
  }

 private:
  Shape shape_;
  const Array& values_;
};

/// Uniform numbers in [-1, 1] * scale + shift, rounded to the type.
[[nodiscard]] Tensor random_tensor(const ir::Type& type, std::uint32_t seed, double scale = 1, double shift = 0);
[[nodiscard]] inline Tensor random_tensor(const Shape& shape, std::uint32_t seed, double scale = 1, double shift = 0) {
  return random_tensor(ir::Type{DType::F32, shape}, seed, scale, shift);
}
/// Whole numbers 0, 1, 2 ... times `step` plus `first`, i64.
[[nodiscard]] Tensor counting_tensor(std::int64_t count, std::int64_t first, std::int64_t step = 1);

/// x as an element of the type holds it.
[[nodiscard]] double rounded(double x, DType type);

}  // namespace ldmpi::test
