#include "reference.h"

namespace ldmpi::test::naive {

Outputs compute(const ir::Concat&, const Tensors& inputs, const ir::Types& outputs) {
  Array y;
  for (std::int64_t row = 0; row < outputs[0].rows(); ++row)
    for (const Tensor& x : inputs) {
      const auto first = x.values.begin() + row * x.type.columns();
      y.insert(y.end(), first, first + x.type.columns());
    }
  return {y};
}

Outputs compute(const ir::Upsample& op, const Tensors& inputs, const ir::Types& outputs) {
  const Shape& s = outputs[0].shape;
  const Shape& in = inputs[0].type.shape;
  const Image x(inputs[0]);
  Array y(static_cast<std::size_t>(s.count()));
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t c = 0; c < s[1]; ++c)
      for (std::int64_t i = 0; i < s[2]; ++i)
        for (std::int64_t j = 0; j < s[3]; ++j)
          y[Image::index(s, n, c, i, j)] = x(n, c, i * in[2] / op.height, j * in[3] / op.width);
  return {y};
}

Outputs compute(const ir::FromCanonical& op, const Tensors& inputs, const ir::Types& outputs) {
  const Shape& s = op.shape;
  Array y(inputs[0].values.size());
  std::size_t i = 0;
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t c = 0; c < s[1]; ++c)
      for (std::int64_t h = 0; h < s[2]; ++h)
        for (std::int64_t w = 0; w < s[3]; ++w)
          y[Image::index(s, n, c, h, w)] = rounded(inputs[0].values[i++], outputs[0].dtype);
  return {y};
}

Outputs compute(const ir::ToCanonical&, const Tensors& inputs, const ir::Types&) {
  const Shape& s = inputs[0].type.shape;
  const Image x(inputs[0]);
  Array y;
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t c = 0; c < s[1]; ++c)
      for (std::int64_t h = 0; h < s[2]; ++h)
        for (std::int64_t w = 0; w < s[3]; ++w) y.push_back(x(n, c, h, w));
  return {y};
}

}  // namespace ldmpi::test::naive
