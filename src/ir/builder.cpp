#include "ir/builder.h"

namespace ldmpi::ir {

Value Builder::input(std::string label, Type type) const {
  return graph_.add1(Input{std::move(label), std::move(type)}, {});
}
Value Builder::persistent(Arena arena, int block, std::string label, Type type) const {
  return graph_.add1(Persistent{arena, block, std::move(label), std::move(type)}, {});
}
Value Builder::constant(std::string label, std::vector<float> data) const {
  return graph_.add1(Constant{std::move(label), std::make_shared<const std::vector<float>>(std::move(data))}, {});
}
Value Builder::fill(float value, Type type) const {
  return graph_.add1(Fill{value, std::move(type)}, {});
}

Value Builder::cast(Value x, DType dtype) const {
  return type(x).dtype == dtype ? x : graph_.add1(Cast{dtype}, {x});
}
Value Builder::linear(Value x, Value w, Value b) const {
  Values inputs{x, w};
  if (b) inputs.push_back(b);
  return graph_.add1(MatMul{.transpose_a = false, .transpose_b = true}, std::move(inputs));
}
Value Builder::matmul(Value a, Value b, bool transpose_a, bool transpose_b) const {
  return graph_.add1(MatMul{transpose_a, transpose_b}, {a, b});
}
Value Builder::conv2d(Value x, Value w, Value b, Conv2d attributes) const {
  Values inputs{x, w};
  if (b) inputs.push_back(b);
  return graph_.add1(attributes, std::move(inputs));
}
Value Builder::group_norm(Value x, Value gamma, Value beta, GroupNorm attributes) const {
  return graph_.add(attributes, {x, gamma, beta}).front();
}
Value Builder::layer_norm(Value x, Value gamma, Value beta, LayerNorm attributes) const {
  return graph_.add(attributes, {x, gamma, beta}).front();
}
Value Builder::attention(Value q, Value k, Value v, Attention attributes) const {
  return graph_.add(attributes, {q, k, v}).front();
}
Value Builder::reshape(Value x, Shape shape) const {
  return type(x).shape == shape ? x : graph_.add1(Reshape{shape}, {x});
}
Value Builder::tokens(Value image) const {
  const auto& t = type(image);
  return reshape(image, {t.rows(), t.columns()});
}
Value Builder::image_like(Value tokens, Value image) const {
  const auto& shape = type(image).shape;
  return reshape(tokens, {shape[0], type(tokens).columns(), shape[2], shape[3]});
}
Values Builder::split(Value x, std::vector<std::int64_t> sizes) const {
  if (sizes.size() == 1) return {x};
  return graph_.add(Split{std::move(sizes)}, {x});
}
Value Builder::upsample(Value x, std::int64_t height, std::int64_t width) const {
  return graph_.add1(Upsample{height, width}, {x});
}

}  // namespace ldmpi::ir
