#include <cmath>
#include <numbers>

#include "reference.h"

namespace ldmpi::test::naive {
namespace {

double gelu(double x) {
  return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
}

}  // namespace

Outputs compute(const ir::Fill& op, const Tensors&, const ir::Types& outputs) {
  return {Array(static_cast<std::size_t>(outputs[0].count()), rounded(double{op.value}, outputs[0].dtype))};
}

Outputs compute(const ir::Unary& op, const Tensors& inputs, const ir::Types&) {
  Array y = inputs[0].values;
  for (double& x : y) x = op.fn == ir::UnaryFn::Silu ? x / (1 + std::exp(-x)) : gelu(x);
  return {y};
}

Outputs compute(const ir::Add&, const Tensors& inputs, const ir::Types&) {
  Array y = inputs[0].values;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += inputs[1].values[i];
  return {y};
}

Outputs compute(const ir::Scale& op, const Tensors& inputs, const ir::Types&) {
  Array y = inputs[0].values;
  for (double& x : y) x *= double{op.factor};
  return {y};
}

Outputs compute(const ir::Cast& op, const Tensors& inputs, const ir::Types&) {
  Array y = inputs[0].values;
  for (double& x : y) x = rounded(x, op.dtype);
  return {y};
}

Outputs compute(const ir::Geglu&, const Tensors& inputs, const ir::Types& outputs) {
  const auto rows = static_cast<std::size_t>(outputs[0].rows());
  const auto width = static_cast<std::size_t>(outputs[0].columns());
  Array y(rows * width);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t i = 0; i < width; ++i)
      y[row * width + i] = inputs[0].values[row * 2 * width + i] * gelu(inputs[0].values[row * 2 * width + width + i]);
  return {y};
}

Outputs compute(const ir::AddChannels&, const Tensors& inputs, const ir::Types& outputs) {
  const Shape& s = outputs[0].shape;
  Array y = inputs[0].values;
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t c = 0; c < s[1]; ++c)
      for (std::int64_t h = 0; h < s[2]; ++h)
        for (std::int64_t w = 0; w < s[3]; ++w)
          y[Image::index(s, n, c, h, w)] += inputs[1].values[static_cast<std::size_t>(n * s[1] + c)];
  return {y};
}

Outputs compute(const ir::SumPixels&, const Tensors& inputs, const ir::Types& outputs) {
  const Shape& s = inputs[0].type.shape;
  const Image x(inputs[0]);
  Array y(static_cast<std::size_t>(outputs[0].count()));
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t c = 0; c < s[1]; ++c)
      for (std::int64_t h = 0; h < s[2]; ++h)
        for (std::int64_t w = 0; w < s[3]; ++w) y[static_cast<std::size_t>(n * s[1] + c)] += x(n, c, h, w);
  return {y};
}

Outputs compute(const ir::SumRows&, const Tensors& inputs, const ir::Types&) {
  const auto columns = static_cast<std::size_t>(inputs[0].type.columns());
  Array y(columns);
  for (std::size_t i = 0; i < inputs[0].values.size(); ++i) y[i % columns] += inputs[0].values[i];
  return {y};
}

Outputs compute(const ir::MulAdd&, const Tensors& inputs, const ir::Types&) {
  Array y = inputs[0].values;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += inputs[1].values[i] * inputs[2].values[i];
  return {y};
}

}  // namespace ldmpi::test::naive
