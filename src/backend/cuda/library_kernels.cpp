#include "backend/cuda/library_kernels.h"

#include "backend/cuda/kernels.h"
#include "backend/cuda_answers.h"
#include "backend/cuda_scratch.h"
#include "base/check.h"

namespace ldmpi::backend::cuda {
namespace {

bool fits_channels(std::int64_t columns) {
  return columns % scratch::kChannels == 0;
}

/// Pixels as cuDNN gets them: where they are, or with channels filled up in the workspace.
std::int64_t pitch_of(const ir::Type& image) {
  if (!fits_channels(image.columns())) return round_up(image.columns(), scratch::kChannels);
  require(fits_channels(image.row_pitch()), Exit::NoDevice,
          "a convolution on {} channels that lie beside others in rows of {}: on CUDA the numbers of channels that are "
          "concatenated must be multiples of {}",
          image.columns(), image.row_pitch(), scratch::kChannels);
  return image.row_pitch();
}

ConvolutionProblem problem_of(const ir::Conv2d& op, ConvolutionPass pass, const ir::Type& x, const ir::Type& w,
                              const ir::Type& y, bool bias) {
  expect_equal_dtypes(op.name, {&x, &w, &y});
  return {.pass = pass,
          .dtype = x.dtype,
          .bias = bias && fits_channels(y.columns()),
          .samples = x.shape[0],
          .channels = round_up(x.columns(), scratch::kChannels),
          .height = x.shape[2],
          .width = x.shape[3],
          .filters = round_up(y.columns(), scratch::kChannels),
          .out_height = y.shape[2],
          .out_width = y.shape[3],
          .kernel = w.shape[2],
          .stride = op.stride,
          .padding = op.padding,
          .x_pitch = pitch_of(x),
          .y_pitch = pitch_of(y)};
}

Problem pose(const ir::Conv2d& op, const NodeTypes& types, bool) {
  return problem_of(op, ConvolutionPass::Forward, types.inputs.at(0), types.inputs.at(1), types.outputs.at(0),
                    types.inputs.size() > 2);
}
Problem pose(const ir::Conv2dInputGrad& op, const NodeTypes& types, bool) {
  return problem_of(op.forward, ConvolutionPass::InputGrad, types.outputs.at(0), types.inputs.at(1),
                    types.inputs.at(0), false);
}
Problem pose(const ir::Conv2dWeightGrad& op, const NodeTypes& types, bool) {
  return problem_of(op.forward, ConvolutionPass::WeightGrad, types.inputs.at(1), types.outputs.at(0),
                    types.inputs.at(0), false);
}

AttentionProblem problem_of(const ir::Attention& op, const ir::Type& q, const ir::Type& k) {
  return {.dtype = q.dtype,
          .batch = op.batch,
          .heads = op.heads,
          .queries = q.rows() / op.batch,
          .keys = k.rows() / op.batch,
          .width = q.columns() / op.heads};
}

/// Tensor cores read 16 bytes at a time.
bool wide_rows(const AttentionProblem& problem) {
  for (auto pitch : problem.pitches)
    if (pitch % 8 != 0) return false;
  return true;
}

Problem pose(const ir::Attention& op, const NodeTypes& types, bool) {
  if (!fused_attention_may_serve(op, types.inputs.at(0))) return {};
  auto problem = problem_of(op, types.inputs[0], types.inputs.at(1));
  for (std::size_t i = 0; i < 3; ++i) problem.pitches[i] = types.inputs.at(i).row_pitch();
  problem.pitches[3] = types.outputs.at(0).row_pitch();
  if (!wide_rows(problem)) return {};
  return problem;
}
Problem pose(const ir::AttentionGrad& op, const NodeTypes& types, bool) {
  if (!fused_attention_may_serve(op.forward, types.inputs.at(1))) return {};
  auto problem = problem_of(op.forward, types.inputs[1], types.inputs.at(2));
  problem.gradient = true;
  for (std::size_t i = 0; i < 5; ++i) problem.pitches[i] = types.inputs.at(i).row_pitch();
  for (std::size_t i = 0; i < 3; ++i) problem.pitches[5 + i] = types.outputs.at(i).row_pitch();
  if (!wide_rows(problem)) return {};
  return problem;
}

Problem pose(const ir::MatMul& op, const NodeTypes& types, bool tf32) {
  const ir::Type& a = types.inputs.at(0);
  const ir::Type& b = types.inputs.at(1);
  const ir::Type& y = types.outputs.at(0);
  expect_equal_dtypes(op.name, {&a, &b, &y});
  MatMulProblem problem{.dtype = y.dtype,
                        .tf32 = tf32 && y.dtype == DType::F32,
                        .bias = types.inputs.size() > 2,
                        .transpose_a = op.transpose_a,
                        .transpose_b = op.transpose_b,
                        .rows = y.rows(),
                        .columns = y.columns(),
                        .inner = op.transpose_a ? a.rows() : a.columns(),
                        .a_pitch = a.row_pitch(),
                        .b_pitch = b.row_pitch(),
                        .y_pitch = y.row_pitch()};
  const auto bytes = static_cast<std::int64_t>(size_of(y.dtype));
  problem.wide = (problem.a_pitch * bytes) % 16 == 0 && (problem.b_pitch * bytes) % 16 == 0 &&
                 (problem.y_pitch * bytes) % 16 == 0;
  return problem;
}

/// An image of the graph and its copy in the workspace, if it needs one.
class Image {
 public:
  Image(const ir::Type& type, Scratch& scratch)
      : stored_{nullptr, type.rows(), type.columns(), type.row_pitch()}, type_(type.dtype) {
    if (fits_channels(type.columns())) return;
    const std::int64_t padded = round_up(type.columns(), scratch::kChannels);
    padded_ = {nullptr, type.rows(), padded, padded};
    at_ = scratch.used();
    scratch.take<std::byte>(padded_.rows * padded * static_cast<std::int64_t>(size_of(type_)));
  }

  /// What cuDNN reads.
  void* read(const void* data, std::byte* workspace, Stream stream) const {
    if (padded_.rows == 0) return const_cast<void*>(data);
    fit_columns(at(stored_, const_cast<void*>(data)), at(padded_, workspace + at_), nullptr, type_, stream);
    return workspace + at_;
  }
  /// What cuDNN writes.
  [[nodiscard]] void* target(void* data, std::byte* workspace) const {
    return padded_.rows == 0 ? data : workspace + at_;
  }
  void written(void* data, std::byte* workspace, const void* bias, Stream stream) const {
    if (padded_.rows == 0) return;
    fit_columns(at(padded_, workspace + at_), at(stored_, data), bias, type_, stream);
  }

 private:
  static Rows2d at(Rows2d rows, void* data) {
    rows.data = data;
    return rows;
  }

  Rows2d stored_;
  Rows2d padded_;
  DType type_;
  std::size_t at_ = 0;
};

class ConvolutionKernel final : public Kernel {
 public:
  ConvolutionKernel(ConvolutionPass pass, const ir::Type& x, const ir::Type& y, bool bias,
                    std::shared_ptr<const FusedPlan> plan, cudnnContext* handle, Stream stream)
      : pass_(pass), plan_(std::move(plan)), handle_(handle), stream_(stream), x_(x, scratch_), y_(y, scratch_),
        bias_(bias), fused_bias_(bias && fits_channels(y.columns())) {}

  void run(const KernelArgs& args) const override {
    auto* workspace = static_cast<std::byte*>(args.workspace);
    void* rest = workspace + scratch_.used();
    auto* other = const_cast<void*>(args.inputs[1]);
    switch (pass_) {
      case ConvolutionPass::Forward: {
        const void* bias = bias_ ? args.inputs[2] : nullptr;
        const std::array<void*, 4> operands{x_.read(args.inputs[0], workspace, stream_), other,
                                            y_.target(args.outputs[0], workspace), const_cast<void*>(bias)};
        plan_->run(handle_, std::span(operands).first(fused_bias_ ? 4 : 3), rest);
        return y_.written(args.outputs[0], workspace, bias, stream_);
      }
      case ConvolutionPass::InputGrad: {
        const std::array<void*, 3> operands{y_.read(args.inputs[0], workspace, stream_), other,
                                            x_.target(args.outputs[0], workspace)};
        plan_->run(handle_, operands, rest);
        return x_.written(args.outputs[0], workspace, nullptr, stream_);
      }
      case ConvolutionPass::WeightGrad: {
        const std::array<void*, 3> operands{y_.read(args.inputs[0], workspace, stream_),
                                            x_.read(other, workspace, stream_), args.outputs[0]};
        return plan_->run(handle_, operands, rest);
      }
    }
  }
  [[nodiscard]] std::string choice() const override { return plan_->name(); }

 private:
  ConvolutionPass pass_;
  std::shared_ptr<const FusedPlan> plan_;
  cudnnContext* handle_;
  Stream stream_;
  Scratch scratch_;  // counts only
  Image x_, y_;
  bool bias_;
  bool fused_bias_;
};

class AttentionKernel final : public Kernel {
 public:
  AttentionKernel(bool gradient, std::shared_ptr<const FusedPlan> plan, cudnnContext* handle)
      : gradient_(gradient), plan_(std::move(plan)), handle_(handle) {}

  void run(const KernelArgs& args) const override {
    std::array<void*, 9> operands{};
    const std::size_t inputs = gradient_ ? 6 : 3;
    const std::size_t outputs = gradient_ ? 3 : 2;
    for (std::size_t i = 0; i < inputs; ++i) operands[i] = const_cast<void*>(args.inputs[i]);
    for (std::size_t i = 0; i < outputs; ++i) operands[inputs + i] = args.outputs[i];
    plan_->run(handle_, std::span(operands).first(inputs + outputs), args.workspace);
  }
  [[nodiscard]] std::string choice() const override { return plan_->name(); }

 private:
  bool gradient_;
  std::shared_ptr<const FusedPlan> plan_;
  cudnnContext* handle_;
};

class MatMulKernel final : public Kernel {
 public:
  MatMulKernel(bool bias, std::shared_ptr<const BlasPlan> wide, std::shared_ptr<const BlasPlan> narrow)
      : bias_(bias), wide_(std::move(wide)), narrow_(std::move(narrow)) {}

  void run(const KernelArgs& args) const override {
    const void* bias = bias_ ? args.inputs[2] : nullptr;
    const auto& plan =
        wide_ && aligned({args.inputs[0], args.inputs[1], bias, args.outputs[0]}) ? *wide_ : *narrow_;
    plan.run(args.inputs[0], args.inputs[1], bias, args.outputs[0], args.workspace);
  }
  [[nodiscard]] std::string choice() const override { return (wide_ ? wide_ : narrow_)->name(); }

 private:
  bool bias_;
  std::shared_ptr<const BlasPlan> wide_;
  std::shared_ptr<const BlasPlan> narrow_;
};

}  // namespace

Problem problem_of(const ir::Op& op, const NodeTypes& types, bool tf32) {
  return std::visit(
      [&]<typename O>(const O& node) -> Problem {
        if constexpr (requires { pose(node, types, tf32); }) {
          return pose(node, types, tf32);
        } else {
          return {};
        }
      },
      op);
}

std::size_t attention_workspace(const AttentionProblem& problem) {
  const std::int64_t rows = problem.batch * problem.heads * problem.queries;
  std::int64_t bytes = scratch::kAttention;
  if (problem.gradient) bytes += rows * (problem.width + 1) * static_cast<std::int64_t>(sizeof(float));
  return static_cast<std::size_t>(bytes);
}

KernelPtr convolution_kernel(const ir::Op& op, const NodeTypes& types, std::shared_ptr<const FusedPlan> plan,
                             cudnnContext* handle, Stream stream) {
  const auto make = [&](ConvolutionPass pass, const ir::Type& x, const ir::Type& y, bool bias) {
    return std::make_unique<const ConvolutionKernel>(pass, x, y, bias, std::move(plan), handle, stream);
  };
  if (std::holds_alternative<ir::Conv2d>(op))
    return make(ConvolutionPass::Forward, types.inputs.at(0), types.outputs.at(0), types.inputs.size() > 2);
  if (std::holds_alternative<ir::Conv2dInputGrad>(op))
    return make(ConvolutionPass::InputGrad, types.outputs.at(0), types.inputs.at(0), false);
  return make(ConvolutionPass::WeightGrad, types.inputs.at(1), types.inputs.at(0), false);
}

KernelPtr attention_kernel(bool gradient, std::shared_ptr<const FusedPlan> plan, cudnnContext* handle) {
  return std::make_unique<const AttentionKernel>(gradient, std::move(plan), handle);
}

KernelPtr matmul_kernel(bool bias, std::shared_ptr<const BlasPlan> wide, std::shared_ptr<const BlasPlan> narrow) {
  return std::make_unique<const MatMulKernel>(bias, std::move(wide), std::move(narrow));
}

}  // namespace ldmpi::backend::cuda
