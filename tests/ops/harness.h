#pragma once
// Runs single ops on the kernels under test (under_test.h) and compares them with naive double-precision references;
// gradient ops are compared with differences of the forward reference. Every op is run in all the ways that its
// NodeAnswer permits: dense, pitched, in place, with 1, 2 and 3 threads; guards around every operand must stay whole.

#include <functional>

#include "tensor.h"

namespace ldmpi::test {

/// How much a result may differ: relative to the largest magnitude of the tensor.
struct Tolerance {
  double relative = 2e-6;
  bool same_bits = true;  ///< results at 1, 2 and 3 threads are equal bit for bit (own kernels)
};

/// Types of the outputs by the op's shape rule.
[[nodiscard]] ir::Types infer_outputs(const ir::Op& op, const Tensors& inputs);

/// Outputs, then the inputs that the op updates in place, of one dense run with one thread.
[[nodiscard]] std::vector<Array> run(const ir::Op& op, const Tensors& inputs);

/// Expects the op's results to equal its reference, in all variants.
void check(const ir::Op& op, const Tensors& inputs, Tolerance tolerance = {});

/// What a gradient op reads: the slope of the forward op's output 0, a forward input or a forward output.
struct Source {
  enum Kind { Slope, Input, Output } kind;
  std::size_t index = 0;
};

/// A gradient op, its operands in terms of the forward op, and the forward inputs that its outputs are slopes of.
struct GradientCase {
  ir::Op forward;
  ir::Op gradient;
  std::vector<Source> sources;
  std::vector<std::size_t> slopes_of;
};

/// Expects the gradient op's outputs to equal four-point differences of the forward reference: single elements, and
/// directions through all of them; in all variants.
void check_gradient(const GradientCase& test, const Tensors& forward_inputs, Tolerance tolerance = {});

}  // namespace ldmpi::test
