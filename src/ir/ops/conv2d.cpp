#include "ir/ops/conv2d.h"

#include "ir/differentiate.h"

namespace ldmpi::ir {
namespace {

std::int64_t out_extent(const Conv2d& op, std::int64_t in, std::int64_t kernel) {
  return (in + 2 * op.padding - kernel) / op.stride + 1;
}

}  // namespace

Types infer(const Conv2d& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 2, 3);
  const auto& x = inputs[0].shape;
  const auto& w = inputs[1].shape;
  expect(x.rank() == 4 && w.rank() == 4 && w[1] == x[1] && w[2] == w[3] && inputs[0].dtype == inputs[1].dtype, op.name,
         inputs, "x [N,C,H,W] and w [O,C,k,k] of one element type");
  if (inputs.size() == 3) expect(inputs[2].shape == Shape{w[0]}, op.name, inputs, "bias [O]");
  const auto height = out_extent(op, x[2], w[2]);
  const auto width = out_extent(op, x[3], w[3]);
  expect(height > 0 && width > 0, op.name, inputs, "an image at least as large as the kernel");
  return {Type{inputs[0].dtype, {x[0], w[0], height, width}}};
}

Values gradient(const Conv2d& op, GradientScope& s) {
  const auto& x = s.type(s.inputs[0]).shape;
  const auto kernel = s.type(s.inputs[1]).shape[2];
  auto& graph = s.build.graph();
  const auto height = x[2];
  const auto width = x[3];
  Values result(s.inputs.size());
  if (s.needs(1)) result[1] = graph.add1(Conv2dWeightGrad{op, kernel}, {s.adjoint(), s.inputs[0]});
  if (s.needs(2)) result[2] = s.build.sum_rows(s.adjoint());
  if (s.needs(0)) result[0] = graph.add1(Conv2dInputGrad{op, height, width}, {s.adjoint(), s.inputs[1]});
  return result;
}

Types infer(const Conv2dInputGrad& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 2, 2);
  const auto& dy = inputs[0].shape;
  const auto& w = inputs[1].shape;
  expect(dy.rank() == 4 && w.rank() == 4 && w[0] == dy[1] && out_extent(op.forward, op.height, w[2]) == dy[2] &&
             out_extent(op.forward, op.width, w[3]) == dy[3],
         op.name, inputs, "dy [N,O,h,w] and w [O,C,k,k] of the forward convolution");
  return {Type{inputs[0].dtype, {dy[0], w[1], op.height, op.width}}};
}

Types infer(const Conv2dWeightGrad& op, TypesView inputs) {
  expect_inputs(op.name, inputs, 2, 2);
  const auto& dy = inputs[0].shape;
  const auto& x = inputs[1].shape;
  expect(dy.rank() == 4 && x.rank() == 4 && dy[0] == x[0] && out_extent(op.forward, x[2], op.kernel) == dy[2] &&
             out_extent(op.forward, x[3], op.kernel) == dy[3],
         op.name, inputs, "dy [N,O,h,w] and x [N,C,H,W] of the forward convolution");
  return {Type{inputs[0].dtype, {dy[1], x[1], op.kernel, op.kernel}, 0, Layout::Parameter}};
}

}  // namespace ldmpi::ir
