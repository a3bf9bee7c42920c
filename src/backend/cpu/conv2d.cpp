// Convolutions by oneDNN. Activations are rows of pixels, weights lie in the layout of weight_layout.h; whatever else
// the chosen implementation wants is reordered through the workspace.

#include <dnnl.hpp>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/weight_layout.h"
#include "base/check.h"

namespace ldmpi::backend::cpu {

namespace {

using dnnl::memory;
using Tag = memory::format_tag;

enum class Pass : std::uint8_t { Forward, InputGrad, WeightGrad };

struct Problem {
  Pass pass = Pass::Forward;
  memory::dims x, w, y;  ///< N,C,H,W; O,C,k,k; N,O,h,w
  memory::dims stride, padding;
  std::int64_t x_pitch = 0;
  std::int64_t y_pitch = 0;
  bool bias = false;
};

memory::dims dims_of(const Shape& shape) {
  return {shape[0], shape[1], shape[2], shape[3]};
}

memory::desc desc(const memory::dims& dims, Tag tag) {
  return {dims, memory::data_type::f32, tag};
}

/// Images as the graph stores them.
memory::desc pixels(const memory::dims& d, std::int64_t pitch) {
  return {d, memory::data_type::f32, memory::dims{d[2] * d[3] * pitch, 1, d[3] * pitch, pitch}};
}

Problem problem_of(const ir::Conv2d& op, Pass pass, const ir::Type& x, const ir::Type& w, const ir::Type& y,
                   bool bias) {
  return {.pass = pass,
          .x = dims_of(x.shape),
          .w = dims_of(w.shape),
          .y = dims_of(y.shape),
          .stride = {op.stride, op.stride},
          .padding = {op.padding, op.padding},
          .x_pitch = x.row_pitch(),
          .y_pitch = y.row_pitch(),
          .bias = bias};
}

Problem problem_of(const ir::Conv2d& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return problem_of(op, Pass::Forward, types.inputs.at(0), types.inputs.at(1), types.outputs.at(0),
                    types.inputs.size() > 2);
}

Problem problem_of(const ir::Conv2dInputGrad& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return problem_of(op.forward, Pass::InputGrad, types.outputs.at(0), types.inputs.at(1), types.inputs.at(0), false);
}

Problem problem_of(const ir::Conv2dWeightGrad& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  return problem_of(op.forward, Pass::WeightGrad, types.inputs.at(1), types.outputs.at(0), types.inputs.at(0), false);
}

/// A way to compute: layouts of activations and weights.
struct Form {
  Tag activations;
  Tag weights;
};
constexpr Form kBlocked{Tag::any, Tag::any};        // nChw8c or what the instruction set prefers, jit
constexpr Form kChannelsLast{Tag::nhwc, Tag::any};  // jit
constexpr Form kProduct{Tag::nhwc, Tag::hwio};      // im2col and gemm

/// Which form comes first. Measured with all reorders, 1 thread, GFLOP/s, kBlocked | kChannelsLast | kProduct,
/// forward, input gradient, weight gradient:
///   N4 128->128 32x32:    83|51|28   92|69|75   67|54|49        N1 640->640 32x32:   69|62|55   84|72|77   59|38|58
///   N4 256->256 8x8:      86|48|45   81|83|59   70|57|59        N1 960->320 64x64:   71|66|45   79|51|83   62|26|48
///   N4 64->64 64x64 / 2:  74|37|48   63|70|68   36|30|33        N1 1280->1280 8x8:   71|64|39   46|56|34   60|44|33
/// One run each on a loaded machine, repeats spread by 10 % and more. Of 20 shapes blocks were the fastest in 16, 8 and
/// 17. In the input gradient the others lead by less than that spread at most shapes with full blocks (two 8x8 shapes
/// by 16-22 %, kProduct at 320->320 64x64 by 26 %): no rule in the sizes separates them, so blocks stand there as well.
/// With four channels on a side: forward 4->64 blocks have none | 79 | 48; input gradient 64->4 31|71|8, 4->64
/// 22|15|31; weight gradient 4->64 19|21|49.
Form preferred(const Problem& problem) {
  constexpr std::int64_t kFull = 8;
  const bool few_inputs = problem.w[1] < kFull, few_outputs = problem.w[0] < kFull;
  if (few_inputs) return problem.pass == Pass::Forward ? kChannelsLast : kProduct;
  return few_outputs && problem.pass == Pass::InputGrad ? kChannelsLast : kBlocked;
}

/// The primitive of a form, empty where oneDNN has none but the reference loops.
dnnl::primitive_desc_base describe(const Problem& p, const Form& form, const dnnl::engine& engine) {
  constexpr auto kDirect = dnnl::algorithm::convolution_direct;
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const memory::desc x = desc(p.x, form.activations), y = desc(p.y, form.activations), w = desc(p.w, form.weights);
  using Forward = dnnl::convolution_forward;
  constexpr auto kTraining = dnnl::prop_kind::forward_training;
  const auto description =
      p.bias ? Forward::desc(kTraining, kDirect, x, w, desc({p.w[0]}, Tag::x), y, p.stride, p.padding, p.padding)
             : Forward::desc(kTraining, kDirect, x, w, y, p.stride, p.padding, p.padding);
  const Forward::primitive_desc forward(description, attributes, engine, true);
  dnnl::primitive_desc_base found = forward;
  if (p.pass == Pass::InputGrad && forward.get(true) != nullptr) {
    using Backward = dnnl::convolution_backward_data;
    found = Backward::primitive_desc(Backward::desc(kDirect, x, w, y, p.stride, p.padding, p.padding), attributes,
                                     engine, forward, true);
  } else if (p.pass == Pass::WeightGrad && forward.get(true) != nullptr) {
    using Backward = dnnl::convolution_backward_weights;
    found = Backward::primitive_desc(Backward::desc(kDirect, x, w, y, p.stride, p.padding, p.padding), attributes,
                                     engine, forward, true);
  }
  const bool refused =
      found.get(true) == nullptr || std::string_view(found.impl_info_str()).find("ref") != std::string_view::npos;
  return refused ? dnnl::primitive_desc_base() : found;
}

struct Names {
  int x, w, y;
};
Names names(Pass pass) {
  switch (pass) {
    case Pass::Forward: return {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    case Pass::InputGrad: return {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST};
    default: return {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST};
  }
}

/// The primitive, the layouts it wants, and where their copies lie behind its scratch in the workspace.
struct Choice {
  dnnl::primitive_desc_base primitive;
  memory::desc x, w, y, scratch;
  memory::desc stored_w;
  std::size_t copy_x = 0, copy_w = 0, copy_y = 0;
  std::size_t bytes = 0;
};

Choice choose(const Problem& problem, const dnnl::engine& engine) {
  Choice choice;
  for (const Form& form : {preferred(problem), kBlocked, kChannelsLast, kProduct}) {
    choice.primitive = describe(problem, form, engine);
    if (choice.primitive.get(true) != nullptr) break;
  }
  LDMPI_CHECK(choice.primitive.get(true) != nullptr,
              "oneDNN has only reference loops for a convolution {}->{} channels, kernel {}, stride {}, {}x{} pixels",
              problem.w[1], problem.w[0], problem.w[2], problem.stride[0], problem.x[2], problem.x[3]);
  const auto layout = [&](int name) { return choice.primitive.query_md(dnnl::query::exec_arg_md, name); };
  const Names name = names(problem.pass);
  choice.x = layout(name.x);
  choice.w = layout(name.w);
  choice.y = layout(name.y);
  choice.scratch = layout(DNNL_ARG_SCRATCHPAD);
  choice.stored_w = desc(problem.w, is_blocked(Shape(problem.w)) ? Tag::OIhw8i8o : Tag::oihw);
  Scratch scratch;
  const auto take = [&](const memory::desc& operand) {
    const std::size_t at = scratch.used();
    scratch.take<std::byte>(static_cast<std::int64_t>(operand.get_size()));
    return at;
  };
  take(choice.scratch);
  // Room for copies of both activations whether or not the pitches chosen later need them.
  choice.copy_x = take(choice.x);
  choice.copy_y = take(choice.y);
  choice.copy_w = scratch.used();
  if (choice.w != choice.stored_w) take(choice.w);
  choice.bytes = scratch.used();
  return choice;
}

void execute(const dnnl::primitive& primitive, const dnnl::stream& stream, std::span<const dnnl_exec_arg_t> arguments) {
  const auto status =
      dnnl_primitive_execute(primitive.get(), stream.get(), static_cast<int>(arguments.size()), arguments.data());
  LDMPI_CHECK(status == dnnl_success, "oneDNN convolution ended with status {}", static_cast<int>(status));
}

/// One operand: as stored in the graph and as the primitive wants it, with the reorder between them if they differ.
class Operand {
 public:
  Operand(const memory::desc& stored, const memory::desc& wanted, bool output, std::size_t copy,
          const dnnl::engine& engine)
      : copy_(copy), stored_(stored, engine, DNNL_MEMORY_NONE), reordered_(stored != wanted) {
    if (!reordered_) return;
    wanted_ = memory(wanted, engine, DNNL_MEMORY_NONE);
    reorder_ = output ? dnnl::reorder(wanted_, stored_) : dnnl::reorder(stored_, wanted_);
    arguments_[0] = {DNNL_ARG_FROM, (output ? wanted_ : stored_).get()};
    arguments_[1] = {DNNL_ARG_TO, (output ? stored_ : wanted_).get()};
  }
  void bind(const void* data, std::byte* workspace) {
    stored_.set_data_handle(const_cast<void*>(data));
    if (reordered_) wanted_.set_data_handle(workspace + copy_);
  }
  void reorder(const dnnl::stream& stream) const {
    if (reordered_) execute(reorder_, stream, arguments_);
  }
  /// What the primitive reads or writes.
  [[nodiscard]] dnnl_memory_t operand() const { return (reordered_ ? wanted_ : stored_).get(); }
  [[nodiscard]] bool reordered() const { return reordered_; }

 private:
  std::size_t copy_;
  memory stored_, wanted_;
  dnnl::reorder reorder_;
  std::array<dnnl_exec_arg_t, 2> arguments_{};
  bool reordered_;
};

class ConvKernel final : public Kernel {
 public:
  explicit ConvKernel(const Problem& problem)
      : pass_(problem.pass),
        choice_(choose(problem, engine_)),
        primitive_(choice_.primitive.get()),
        x_(pixels(problem.x, problem.x_pitch), choice_.x, pass_ == Pass::InputGrad, choice_.copy_x, engine_),
        w_(choice_.stored_w, choice_.w, pass_ == Pass::WeightGrad, choice_.copy_w, engine_),
        y_(pixels(problem.y, problem.y_pitch), choice_.y, pass_ == Pass::Forward, choice_.copy_y, engine_),
        scratch_(choice_.scratch, engine_, DNNL_MEMORY_NONE) {
    const Names name = names(pass_);
    arguments_ = {
        {name.x, x_.operand()}, {name.w, w_.operand()}, {name.y, y_.operand()}, {DNNL_ARG_SCRATCHPAD, scratch_.get()}};
    if (!problem.bias) return;
    bias_ = memory(desc({problem.w[0]}, Tag::x), engine_, DNNL_MEMORY_NONE);
    arguments_.push_back({DNNL_ARG_BIAS, bias_.get()});
  }

  void run(const KernelArgs& args) const override {
    auto* workspace = static_cast<std::byte*>(args.workspace);
    bind(args, workspace);
    scratch_.set_data_handle(workspace);
    if (bias_) bias_.set_data_handle(const_cast<void*>(args.inputs[2]));
    if (pass_ != Pass::InputGrad) x_.reorder(stream_);
    if (pass_ != Pass::WeightGrad) w_.reorder(stream_);
    if (pass_ != Pass::Forward) y_.reorder(stream_);
    execute(primitive_, stream_, arguments_);
    const Operand& result = pass_ == Pass::Forward ? y_ : pass_ == Pass::InputGrad ? x_ : w_;
    result.reorder(stream_);
  }

  [[nodiscard]] std::string choice() const override {
    const auto note = [](const Operand& operand, std::string_view name) {
      return operand.reordered() ? " reorder:" + std::string(name) : std::string();
    };
    return choice_.primitive.impl_info_str() + note(x_, "x") + note(w_, "w") + note(y_, "y");
  }

 private:
  void bind(const KernelArgs& args, std::byte* workspace) const {
    const auto bind_all = [&](const void* x, const void* w, const void* y) {
      x_.bind(x, workspace);
      w_.bind(w, workspace);
      y_.bind(y, workspace);
    };
    switch (pass_) {
      case Pass::Forward: return bind_all(args.inputs[0], args.inputs[1], args.outputs[0]);
      case Pass::InputGrad: return bind_all(args.outputs[0], args.inputs[1], args.inputs[0]);
      case Pass::WeightGrad: return bind_all(args.inputs[1], args.outputs[0], args.inputs[0]);
    }
  }

  Pass pass_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  Choice choice_;
  dnnl::primitive primitive_;
  // The handles change with every call; a kernel runs in one thread at a time.
  mutable Operand x_, w_, y_;
  mutable memory scratch_, bias_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

template <typename O>
NodeAnswer answer_conv(const O& op, const NodeTypes& types) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return {
      .workspace_bytes = choose(problem_of(op, types), engine).bytes, .pitched_inputs = true, .pitched_outputs = true};
}

}  // namespace

NodeAnswer answer(const ir::Conv2d& op, const NodeTypes& types) {
  return answer_conv(op, types);
}
NodeAnswer answer(const ir::Conv2dInputGrad& op, const NodeTypes& types) {
  return answer_conv(op, types);
}
NodeAnswer answer(const ir::Conv2dWeightGrad& op, const NodeTypes& types) {
  return answer_conv(op, types);
}

KernelPtr make_kernel(const ir::Conv2d& op, const NodeTypes& types) {
  return std::make_unique<const ConvKernel>(problem_of(op, types));
}
KernelPtr make_kernel(const ir::Conv2dInputGrad& op, const NodeTypes& types) {
  return std::make_unique<const ConvKernel>(problem_of(op, types));
}
KernelPtr make_kernel(const ir::Conv2dWeightGrad& op, const NodeTypes& types) {
  return std::make_unique<const ConvKernel>(problem_of(op, types));
}

}  // namespace ldmpi::backend::cpu
