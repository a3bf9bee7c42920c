#pragma once
// One function per op for those who write graph by hand: models, gradient rules, tests.

#include <string>

#include "ir/graph.h"

namespace ldmpi::ir {

class Builder {
 public:
  explicit Builder(Graph& graph) : graph_(graph) {}
  [[nodiscard]] Graph& graph() const noexcept { return graph_; }
  [[nodiscard]] const Type& type(Value v) const { return graph_.type(v); }

  [[nodiscard]] Value input(std::string label, Type type) const;
  [[nodiscard]] Value persistent(Arena arena, int block, std::string label, Type type) const;
  [[nodiscard]] Value constant(std::string label, std::vector<float> data) const;
  [[nodiscard]] Value fill(float value, Type type) const;

  [[nodiscard]] Value silu(Value x) const { return graph_.add1(Unary{UnaryFn::Silu}, {x}); }
  [[nodiscard]] Value gelu(Value x) const { return graph_.add1(Unary{UnaryFn::Gelu}, {x}); }
  [[nodiscard]] Value add(Value a, Value b) const { return graph_.add1(Add{}, {a, b}); }
  [[nodiscard]] Value scale(Value x, float factor) const { return graph_.add1(Scale{factor}, {x}); }
  /// x itself if it has the dtype already.
  [[nodiscard]] Value cast(Value x, DType dtype) const;
  [[nodiscard]] Value geglu(Value x) const { return graph_.add1(Geglu{}, {x}); }
  [[nodiscard]] Value add_channels(Value x, Value t) const { return graph_.add1(AddChannels{}, {x, t}); }

  /// x W^T + b on the rows of x: [rows,K] -> [rows,N]. W [N,K]; b may be absent.
  [[nodiscard]] Value linear(Value x, Value w, Value b = {}) const;
  [[nodiscard]] Value matmul(Value a, Value b, bool transpose_a, bool transpose_b) const;
  [[nodiscard]] Value conv2d(Value x, Value w, Value b, Conv2d attributes) const;
  /// y only; mean and rstd stay for the gradient.
  [[nodiscard]] Value group_norm(Value x, Value gamma, Value beta, GroupNorm attributes) const;
  [[nodiscard]] Value layer_norm(Value x, Value gamma, Value beta, LayerNorm attributes) const;
  [[nodiscard]] Value attention(Value q, Value k, Value v, Attention attributes) const;

  /// x itself if it has the shape already.
  [[nodiscard]] Value reshape(Value x, Shape shape) const;
  /// [N,C,H,W] -> [N*H*W, C]
  [[nodiscard]] Value tokens(Value image) const;
  /// [N*H*W, C] -> [N,C,H,W] of the given image's N, H, W.
  [[nodiscard]] Value image_like(Value tokens, Value image) const;
  [[nodiscard]] Values split(Value x, std::vector<std::int64_t> sizes) const;
  [[nodiscard]] Value concat(Values parts) const { return graph_.add1(Concat{}, std::move(parts)); }
  [[nodiscard]] Value upsample(Value x, std::int64_t height, std::int64_t width) const;
  [[nodiscard]] Value sum_rows(Value x) const { return graph_.add1(SumRows{}, {x}); }

 private:
  Graph& graph_;
};

}  // namespace ldmpi::ir
