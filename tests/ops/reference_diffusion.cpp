#include <cmath>

#include "base/rng.h"
#include "reference.h"

namespace ldmpi::test::naive {
namespace {

Draw draw_of(const Tensors& inputs, std::int64_t n, std::uint64_t seed, Purpose purpose) {
  return {seed, purpose, static_cast<std::uint64_t>(inputs[0].values[static_cast<std::size_t>(n)])};
}

}  // namespace

Outputs compute(const ir::RandomTimesteps& op, const Tensors& inputs, const ir::Types&) {
  Array t;
  for (std::size_t n = 0; n < inputs[0].values.size(); ++n) {
    const float u = draw_of(inputs, static_cast<std::int64_t>(n), op.seed, Purpose::Timestep).uniform(0);
    t.push_back(std::floor(static_cast<double>(op.steps) * double{u}));
  }
  return {t};
}

Outputs compute(const ir::RandomNormal& op, const Tensors& inputs, const ir::Types& outputs) {
  const Shape& s = outputs[0].shape;
  const std::int64_t height = s.rank() == 4 ? s[2] : 1;
  const std::int64_t width = s.rank() == 4 ? s[3] : 1;
  const Shape image{s[0], s[1], height, width};
  Array y(static_cast<std::size_t>(s.count()));
  for (std::int64_t n = 0; n < s[0]; ++n) {
    const Draw draw = draw_of(inputs, n, op.seed, op.purpose);
    std::uint64_t i = 0;
    for (std::int64_t c = 0; c < s[1]; ++c)
      for (std::int64_t h = 0; h < height; ++h)
        for (std::int64_t w = 0; w < width; ++w) y[Image::index(image, n, c, h, w)] = double{draw.normal(i++)};
  }
  return {y};
}

Outputs compute(const ir::Lookup&, const Tensors& inputs, const ir::Types&) {
  Array y;
  for (double t : inputs[1].values) y.push_back(inputs[0].values[static_cast<std::size_t>(t)]);
  return {y};
}

Outputs compute(const ir::Blend&, const Tensors& inputs, const ir::Types&) {
  Array y = inputs[1].values;
  const std::size_t size = y.size() / inputs[0].values.size();
  for (std::size_t i = 0; i < y.size(); ++i)
    y[i] = inputs[0].values[i / size] * y[i] + inputs[2].values[i / size] * inputs[3].values[i];
  return {y};
}

Outputs compute(const ir::DropCaption& op, const Tensors& inputs, const ir::Types& outputs) {
  Array y = inputs[1].values;
  const std::size_t size = inputs[2].values.size();
  for (std::size_t i = 0; i < y.size(); ++i) {
    const Draw draw = draw_of(inputs, static_cast<std::int64_t>(i / size), op.seed, Purpose::CaptionDrop);
    if (draw.uniform(0) < op.probability) y[i] = inputs[2].values[i % size];
    y[i] = rounded(y[i], outputs[0].dtype);
  }
  return {y};
}

Outputs compute(const ir::Sinusoid& op, const Tensors& inputs, const ir::Types&) {
  const auto half = static_cast<double>(op.dim / 2);
  Array y;
  for (double t : inputs[0].values)
    for (std::int64_t i = 0; i < op.dim; ++i) {
      const auto k = static_cast<double>(i % (op.dim / 2));
      const double angle = t * std::exp(-std::log(10000.0) * k / (half - double{op.shift}));
      y.push_back((i < op.dim / 2) == op.cos_first ? std::cos(angle) : std::sin(angle));
    }
  return {y};
}

Outputs compute(const ir::WeightedMse&, const Tensors& inputs, const ir::Types&) {
  const std::size_t count = inputs[0].values.size();
  const std::size_t size = count / inputs[2].values.size();
  double loss = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double d = inputs[0].values[i] - inputs[1].values[i];
    loss += inputs[2].values[i / size] * d * d / static_cast<double>(count);
  }
  return {{loss}};
}

}  // namespace ldmpi::test::naive
