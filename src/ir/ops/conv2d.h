#pragma once
// Square-kernel convolutions on images; 1x1 convolutions are matrix products (nn/layers).

#include "ir/ops/rules.h"

namespace ldmpi::ir {

/// y[n,o,i,j] = bias[o] + sum over c,u,v of w[o,c,u,v] * x[n,c, i*stride+u-padding, j*stride+v-padding].
/// Inputs: x [N,C,H,W], w [O,C,k,k], optional bias [O]. Output: [N,O,(H+2p-k)/s+1,(W+2p-k)/s+1].
struct Conv2d {
  static constexpr std::string_view name = "conv2d";
  int stride = 1;
  int padding = 1;

  friend bool operator==(const Conv2d&, const Conv2d&) = default;
  void fields(auto&& field) const {
    field("stride", stride);
    field("padding", padding);
  }
};
Types infer(const Conv2d&, TypesView inputs);
Values gradient(const Conv2d&, GradientScope&);

/// dx of Conv2d. Inputs: dy [N,O,h,w], w [O,C,k,k]. Output: [N,C,height,width].
struct Conv2dInputGrad {
  static constexpr std::string_view name = "conv2d_input_grad";
  static constexpr bool differentiable = false;
  Conv2d forward;
  std::int64_t height = 0;
  std::int64_t width = 0;

  friend bool operator==(const Conv2dInputGrad&, const Conv2dInputGrad&) = default;
  void fields(auto&& field) const {
    forward.fields(field);
    field("height", height);
    field("width", width);
  }
};
Types infer(const Conv2dInputGrad&, TypesView inputs);

/// dw of Conv2d. Inputs: dy [N,O,h,w], x [N,C,H,W]. Output: [O,C,kernel,kernel] in the layout of the parameter.
struct Conv2dWeightGrad {
  static constexpr std::string_view name = "conv2d_weight_grad";
  static constexpr bool differentiable = false;
  Conv2d forward;
  std::int64_t kernel = 3;

  friend bool operator==(const Conv2dWeightGrad&, const Conv2dWeightGrad&) = default;
  void fields(auto&& field) const {
    forward.fields(field);
    field("kernel", kernel);
  }
};
Types infer(const Conv2dWeightGrad&, TypesView inputs);

}  // namespace ldmpi::ir
