#include <cmath>

#include "reference.h"

namespace ldmpi::test::naive {

Outputs compute(const ir::GroupNorm& op, const Tensors& inputs, const ir::Types& outputs) {
  const Shape& s = outputs[0].shape;
  const Image x(inputs[0]);
  const std::int64_t per_group = s[1] / op.groups;
  Array y(inputs[0].values.size());
  Array means;
  Array rstds;
  const auto each = [&](std::int64_t n, std::int64_t g, const auto& body) {
    for (std::int64_t c = g * per_group; c < (g + 1) * per_group; ++c)
      for (std::int64_t h = 0; h < s[2]; ++h)
        for (std::int64_t w = 0; w < s[3]; ++w) body(c, h, w, x(n, c, h, w));
  };
  const auto count = static_cast<double>(per_group * s[2] * s[3]);
  for (std::int64_t n = 0; n < s[0]; ++n)
    for (std::int64_t g = 0; g < op.groups; ++g) {
      double mean = 0;
      each(n, g, [&](auto, auto, auto, double value) { mean += value / count; });
      double variance = 0;
      each(n, g, [&](auto, auto, auto, double value) { variance += (value - mean) * (value - mean) / count; });
      const double rstd = 1 / std::sqrt(variance + double{op.epsilon});
      each(n, g, [&](std::int64_t c, std::int64_t h, std::int64_t w, double value) {
        const auto channel = static_cast<std::size_t>(c);
        const double z = inputs[1].values[channel] * (value - mean) * rstd + inputs[2].values[channel];
        y[Image::index(s, n, c, h, w)] = op.silu ? z / (1 + std::exp(-z)) : z;
      });
      means.push_back(mean);
      rstds.push_back(rstd);
    }
  return {y, means, rstds};
}

Outputs compute(const ir::LayerNorm& op, const Tensors& inputs, const ir::Types& outputs) {
  const auto columns = static_cast<std::size_t>(outputs[0].columns());
  Array y = inputs[0].values;
  Array means;
  Array rstds;
  for (std::size_t first = 0; first < y.size(); first += columns) {
    double mean = 0;
    for (std::size_t c = 0; c < columns; ++c) mean += y[first + c] / static_cast<double>(columns);
    double variance = 0;
    for (std::size_t c = 0; c < columns; ++c)
      variance += (y[first + c] - mean) * (y[first + c] - mean) / static_cast<double>(columns);
    const double rstd = 1 / std::sqrt(variance + double{op.epsilon});
    for (std::size_t c = 0; c < columns; ++c)
      y[first + c] = inputs[1].values[c] * (y[first + c] - mean) * rstd + inputs[2].values[c];
    means.push_back(mean);
    rstds.push_back(rstd);
  }
  return {y, means, rstds};
}

Outputs compute(const ir::Attention& op, const Tensors& inputs, const ir::Types& outputs) {
  const std::int64_t width = outputs[0].columns();
  const std::int64_t d = width / op.heads;
  const std::int64_t queries = inputs[0].type.rows() / op.batch;
  const std::int64_t keys = inputs[1].type.rows() / op.batch;
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  Array o(inputs[0].values.size());
  Array lse;
  Array p(static_cast<std::size_t>(keys));
  for (std::int64_t b = 0; b < op.batch; ++b)
    for (std::int64_t h = 0; h < op.heads; ++h)
      for (std::int64_t i = 0; i < queries; ++i) {
        const double* q = &inputs[0].values[static_cast<std::size_t>((b * queries + i) * width + h * d)];
        double peak = -INFINITY;
        for (std::int64_t j = 0; j < keys; ++j) {
          const double* k = &inputs[1].values[static_cast<std::size_t>((b * keys + j) * width + h * d)];
          double score = 0;
          for (std::int64_t c = 0; c < d; ++c) score += scale * q[c] * k[c];
          p[static_cast<std::size_t>(j)] = score;
          peak = std::max(peak, score);
        }
        double sum = 0;
        for (double& value : p) sum += value = std::exp(value - peak);
        double* out = &o[static_cast<std::size_t>((b * queries + i) * width + h * d)];
        for (std::int64_t j = 0; j < keys; ++j) {
          const double* v = &inputs[2].values[static_cast<std::size_t>((b * keys + j) * width + h * d)];
          for (std::int64_t c = 0; c < d; ++c) out[c] += p[static_cast<std::size_t>(j)] / sum * v[c];
        }
        lse.push_back(peak + std::log(sum));
      }
  return {o, lse};
}

}  // namespace ldmpi::test::naive
