#include "reference.h"

namespace ldmpi::test::naive {

Outputs compute(const ir::MatMul& op, const Tensors& inputs, const ir::Types& outputs) {
  const std::int64_t rows = outputs[0].rows();
  const std::int64_t columns = outputs[0].columns();
  const std::int64_t inner = op.transpose_a ? inputs[0].type.rows() : inputs[0].type.columns();
  const auto element = [](const Tensor& t, bool transposed, std::int64_t row, std::int64_t column) {
    if (transposed) std::swap(row, column);
    return t.values[static_cast<std::size_t>(row * t.type.columns() + column)];
  };
  Array y(static_cast<std::size_t>(rows * columns));
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = 0; j < columns; ++j) {
      double sum = inputs.size() > 2 ? inputs[2].values[static_cast<std::size_t>(j)] : 0;
      for (std::int64_t k = 0; k < inner; ++k)
        sum += element(inputs[0], op.transpose_a, i, k) * element(inputs[1], op.transpose_b, k, j);
      y[static_cast<std::size_t>(i * columns + j)] = sum;
    }
  return {y};
}

Outputs compute(const ir::Conv2d& op, const Tensors& inputs, const ir::Types& outputs) {
  const Shape& in = inputs[0].type.shape;
  const Shape& out = outputs[0].shape;
  const Shape& kernel = inputs[1].type.shape;
  const Image x(inputs[0]);
  Array y(static_cast<std::size_t>(out.count()));
  for (std::int64_t n = 0; n < out[0]; ++n)
    for (std::int64_t o = 0; o < out[1]; ++o)
      for (std::int64_t i = 0; i < out[2]; ++i)
        for (std::int64_t j = 0; j < out[3]; ++j) {
          double sum = inputs.size() > 2 ? inputs[2].values[static_cast<std::size_t>(o)] : 0;
          for (std::int64_t c = 0; c < kernel[1]; ++c)
            for (std::int64_t u = 0; u < kernel[2]; ++u)
              for (std::int64_t v = 0; v < kernel[3]; ++v) {
                const std::int64_t h = i * op.stride + u - op.padding;
                const std::int64_t w = j * op.stride + v - op.padding;
                if (h < 0 || h >= in[2] || w < 0 || w >= in[3]) continue;
                const auto weight = static_cast<std::size_t>(((o * kernel[1] + c) * kernel[2] + u) * kernel[3] + v);
                sum += inputs[1].values[weight] * x(n, c, h, w);
              }
          y[Image::index(out, n, o, i, j)] = sum;
        }
  return {y};
}

}  // namespace ldmpi::test::naive
