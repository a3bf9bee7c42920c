// Matrix products by oneDNN on plain row-major operands of any pitch.

#include <dnnl.hpp>

#include <cstring>
#include <string>
#include <vector>

#include "backend/cpu/kernels.h"
#include "backend/cpu/parallel.h"
#include "base/check.h"

namespace ldmpi::backend::cpu {

namespace {

using dnnl::memory;

/// One factor as it is stored: rows x columns before the transposition.
struct Factor {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t pitch = 0;
  bool transposed = false;
  std::int64_t copy_pitch = 0;  ///< of the copy with padded rows; 0: read in place

  [[nodiscard]] memory::desc desc() const {
    const std::int64_t step = copy_pitch == 0 ? pitch : copy_pitch;
    return transposed ? memory::desc({columns, rows}, memory::data_type::f32, {1, step})
                      : memory::desc({rows, columns}, memory::data_type::f32, {step, 1});
  }
};

struct Problem {
  Factor a, b;
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t pitch = 0;
  bool bias = false;
};

Factor factor(const ir::Type& type, bool transposed) {
  return {.rows = type.rows(), .columns = type.columns(), .pitch = type.row_pitch(), .transposed = transposed};
}

/// Weight gradients (transposed a) with a narrow side go to a kernel of oneDNN that reads its operands in place: rows
/// 2 KiB x n apart fall into the same cache sets, and only the factor with such rows gains from a padded copy.
/// Measured on a loaded machine (K x M -> N, 1 thread, GFLOP/s, range of 3 runs, in place -> copy):
///   rows of a: 1024 x 1024 -> 128: 38-39 -> 66-81, 256 x 2048 -> 256: 38-41 -> 65-84, 4096 x 512 -> 64: 61-65 -> 53-65
///   rows of b: 1024 x 128 -> 512: 48-81 -> 69-80, 256 x 256 -> 1024: 30-74 -> 70-81, 1024 x 64 -> 1024: 33-78 -> 56-75
/// For b the slow state comes and goes from run to run (reason unknown); the copy removes it and costs up to 10 %
/// otherwise. Wide products pack by themselves: 256 x 1280 -> 5120: 93 in place, 90 with copies.
bool reads_in_place(const Problem& problem) {
  const double narrowness = 1.0 / static_cast<double>(problem.rows) + 1.0 / static_cast<double>(problem.columns);
  return problem.a.transposed && problem.a.rows >= 16 && narrowness >= 0.0038;
}

void copy_padded(Factor& factor) {
  factor.copy_pitch = round_up(factor.columns, 16) + 16;
}

Problem problem_of(const ir::MatMul& op, const NodeTypes& types) {
  expect_f32(op.name, types);
  Problem problem{.a = factor(types.inputs.at(0), op.transpose_a),
                  .b = factor(types.inputs.at(1), op.transpose_b),
                  .rows = types.outputs.at(0).rows(),
                  .columns = types.outputs.at(0).columns(),
                  .pitch = types.outputs.at(0).row_pitch(),
                  .bias = types.inputs.size() > 2};
  for (Factor* side : {&problem.a, &problem.b})
    if (reads_in_place(problem) && side->pitch % 512 == 0) copy_padded(*side);
  return problem;
}

/// The primitive, and where the copies lie behind its scratch in the workspace.
struct Choice {
  dnnl::matmul::primitive_desc primitive;
  std::size_t copy_a = 0;
  std::size_t copy_b = 0;
  std::size_t bytes = 0;
};

Choice choose(const Problem& problem, const dnnl::engine& engine) {
  const memory::desc product({problem.rows, problem.columns}, memory::data_type::f32, {problem.pitch, 1});
  const memory::desc bias({1, problem.columns}, memory::data_type::f32, {problem.columns, 1});
  const auto description = problem.bias ? dnnl::matmul::desc(problem.a.desc(), problem.b.desc(), bias, product)
                                        : dnnl::matmul::desc(problem.a.desc(), problem.b.desc(), product);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  Choice choice;
  choice.primitive = dnnl::matmul::primitive_desc(description, attributes, engine, true);
  const bool found = choice.primitive.get(true) != nullptr;
  const std::string implementation = found ? choice.primitive.impl_info_str() : "none";
  LDMPI_CHECK(found && implementation.find("ref") == std::string::npos,
              "oneDNN has only implementation '{}' for a product [{},{}] x [{},{}]", implementation, problem.a.rows,
              problem.a.columns, problem.b.rows, problem.b.columns);
  Scratch scratch;
  scratch.take<std::byte>(static_cast<std::int64_t>(choice.primitive.scratchpad_desc().get_size()));
  choice.copy_a = scratch.used();
  scratch.take<float>(problem.a.rows * problem.a.copy_pitch);
  choice.copy_b = scratch.used();
  scratch.take<float>(problem.b.rows * problem.b.copy_pitch);
  choice.bytes = scratch.used();
  return choice;
}

/// The factor itself, or its copy with padded rows.
void* in_place_or_copy(const Factor& factor, const void* data, void* copy) {
  if (factor.copy_pitch == 0) return const_cast<void*>(data);
  parallel_for(factor.rows, factor.rows * factor.columns, [&](std::int64_t row) {
    std::memcpy(static_cast<float*>(copy) + row * factor.copy_pitch,
                static_cast<const float*>(data) + row * factor.pitch,
                static_cast<std::size_t>(factor.columns) * sizeof(float));
  });
  return copy;
}

class MatMulKernel final : public Kernel {
 public:
  explicit MatMulKernel(const Problem& problem)
      : problem_(problem), choice_(choose(problem, engine_)), primitive_(choice_.primitive) {
    const auto add = [&](int name, memory& operand, const memory::desc& desc) {
      operand = memory(desc, engine_, DNNL_MEMORY_NONE);
      arguments_.push_back({name, operand.get()});
    };
    add(DNNL_ARG_SRC, a_, choice_.primitive.src_desc());
    add(DNNL_ARG_WEIGHTS, b_, choice_.primitive.weights_desc());
    add(DNNL_ARG_DST, product_, choice_.primitive.dst_desc());
    add(DNNL_ARG_SCRATCHPAD, scratch_, choice_.primitive.scratchpad_desc());
    if (problem.bias) add(DNNL_ARG_BIAS, bias_, choice_.primitive.bias_desc());
  }

  void run(const KernelArgs& args) const override {
    auto* workspace = static_cast<std::byte*>(args.workspace);
    a_.set_data_handle(in_place_or_copy(problem_.a, args.inputs[0], workspace + choice_.copy_a));
    b_.set_data_handle(in_place_or_copy(problem_.b, args.inputs[1], workspace + choice_.copy_b));
    if (problem_.bias) bias_.set_data_handle(const_cast<void*>(args.inputs[2]));
    product_.set_data_handle(args.outputs[0]);
    scratch_.set_data_handle(workspace);
    const auto status =
        dnnl_primitive_execute(primitive_.get(), stream_.get(), static_cast<int>(arguments_.size()), arguments_.data());
    LDMPI_CHECK(status == dnnl_success, "oneDNN matmul ended with status {}", static_cast<int>(status));
  }

  [[nodiscard]] std::string choice() const override {
    const bool copies = problem_.a.copy_pitch + problem_.b.copy_pitch > 0;
    return std::string(choice_.primitive.impl_info_str()) + (copies ? " padded" : "");
  }

 private:
  Problem problem_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  Choice choice_;
  dnnl::matmul primitive_;
  // The handles change with every call; a kernel runs in one thread at a time.
  mutable memory a_, b_, bias_, product_, scratch_;
  std::vector<dnnl_exec_arg_t> arguments_;
};

}  // namespace

NodeAnswer answer(const ir::MatMul& op, const NodeTypes& types) {
  Problem problem = problem_of(op, types);
  // The pitches that the planner chooses later may ask for copies: the bound holds both.
  if (reads_in_place(problem)) {
    copy_padded(problem.a);
    copy_padded(problem.b);
  }
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return {.workspace_bytes = choose(problem, engine).bytes, .pitched_inputs = true, .pitched_outputs = true};
}

KernelPtr make_kernel(const ir::MatMul& op, const NodeTypes& types) {
  return std::make_unique<const MatMulKernel>(problem_of(op, types));
}

}  // namespace ldmpi::backend::cpu
