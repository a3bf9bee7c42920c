#include "harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "operand.h"
#include "reference.h"
#include "under_test.h"

namespace ldmpi::test {
namespace {

struct Variant {
  int threads = 1;
  bool pitched_inputs = false;
  bool pitched_outputs = false;
  bool in_place = false;
};

std::string text_of(const ir::Op& op, const ir::Types& inputs, const Variant& variant) {
  auto text = fmt::format("{}{}", ir::name_of(op), ir::attributes_of(op));
  for (const auto& type : inputs) text += " " + type.text();
  return text + fmt::format(" threads={}{}{}{}", variant.threads, variant.pitched_inputs ? " pitched inputs" : "",
                            variant.pitched_outputs ? " pitched outputs" : "", variant.in_place ? " in place" : "");
}

/// Pitches for all operands that may have one, odd and different from each other.
backend::NodeTypes pitched(backend::NodeTypes types, const Variant& variant) {
  std::int64_t gap = 3;
  const auto widen = [&](std::vector<ir::Type>& side) {
    for (auto& type : side) {
      const bool matrix = type.shape.rank() == 4 || type.shape.rank() == 2;
      if (matrix && type.layout == ir::Layout::Rows) type.pitch = type.columns() + (gap += 2);
    }
  };
  if (variant.pitched_inputs) widen(types.inputs);
  if (variant.pitched_outputs) widen(types.outputs);
  return types;
}

/// Statistics (mean, rstd, lse) are dense always: the planner pitches only what is split or concatenated.
void keep_statistics_dense(const ir::Op& op, backend::NodeTypes& types) {
  const auto dense = [](std::vector<ir::Type>& side, std::initializer_list<std::size_t> which) {
    for (std::size_t i : which) side[i].pitch = 0;
  };
  if (std::holds_alternative<ir::GroupNorm>(op)) dense(types.outputs, {1, 2});
  if (std::holds_alternative<ir::GroupNormGrad>(op)) dense(types.inputs, {4, 5});
  if (std::holds_alternative<ir::Attention>(op)) dense(types.outputs, {1});
  if (std::holds_alternative<ir::AttentionGrad>(op)) dense(types.inputs, {5});
}

class Workspace {
 public:
  explicit Workspace(std::size_t bytes)
      : bytes_(bytes), memory_(ir::Type{DType::U8, {static_cast<std::int64_t>(bytes)}}) {
    std::memset(memory_.data(), 0xFF, bytes_);  // NaN in every float type
  }
  [[nodiscard]] void* data() const { return memory_.data(); }
  [[nodiscard]] bool intact() const { return memory_.intact(); }

 private:
  std::size_t bytes_;
  Operand memory_;
};

/// Equal element by element, NaN beside NaN too.
bool same_values(const Array& a, const Array& b) {
  return std::ranges::equal(a, b, [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); });
}

std::vector<Array> run_variant(const ir::Op& op, const Tensors& inputs, const Variant& variant) {
  backend::NodeTypes types{{}, infer_outputs(op, inputs)};
  for (const Tensor& input : inputs) types.inputs.push_back(input.type);
  types = pitched(types, variant);
  keep_statistics_dense(op, types);
  use_variant(variant.threads);
  const std::size_t workspace_bytes = answer_under_test(op, types).workspace_bytes;
  const auto kernel = kernel_under_test(op, types);

  std::vector<Operand> in;
  std::vector<Operand> out;
  for (std::size_t i = 0; i < inputs.size(); ++i) in.emplace_back(types.inputs[i]).write(inputs[i].values);
  for (const auto& type : types.outputs) out.emplace_back(type);
  std::vector<const void*> sources;
  std::vector<void*> targets;
  for (const auto& operand : in) sources.push_back(operand.data());
  for (const auto& operand : out) targets.push_back(operand.data());
  if (variant.in_place) targets[0] = in[0].data();
  const Workspace workspace(workspace_bytes);
  kernel->run({sources, targets, workspace.data()});

  std::vector<Array> results;
  for (const auto& operand : out) results.push_back(operand.read());
  if (variant.in_place) results[0] = in[0].read();
  const auto written = ir::writes_of(op);
  for (int i : written) results.push_back(in[static_cast<std::size_t>(i)].read());
  const auto text = text_of(op, types.inputs, variant);
  EXPECT_TRUE(workspace.intact()) << text << ": wrote behind its workspace of " << workspace_bytes << " bytes";
  for (std::size_t i = 0; i < in.size(); ++i) {
    EXPECT_TRUE(in[i].intact()) << text << ": wrote around input " << i;
    const bool may_change = std::ranges::count(written, static_cast<int>(i)) > 0 || (variant.in_place && i == 0);
    EXPECT_TRUE(may_change || same_values(in[i].read(), inputs[i].values)) << text << ": changed input " << i;
  }
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_TRUE(out[i].intact()) << text << ": wrote around output " << i;
  return results;
}

/// Runs every permitted variant and gives each one's results to `verify`.
void run_variants(const ir::Op& op, const Tensors& inputs, bool same_bits,
                  const std::function<void(const std::vector<Array>&)>& verify) {
  backend::NodeTypes types{{}, infer_outputs(op, inputs)};
  for (const Tensor& input : inputs) types.inputs.push_back(input.type);
  const auto answer = answer_under_test(op, types);
  const auto one = run_variant(op, inputs, {});
  const auto attempt = [&](const Variant& variant, bool equal) {
    const auto text = text_of(op, types.inputs, variant);
    SCOPED_TRACE(text);
    const auto results = run_variant(op, inputs, variant);
    if (equal) {
      EXPECT_TRUE(std::ranges::equal(results, one, same_values)) << "the result depends on the number of threads";
    } else {
      verify(results);
    }
  };
  {
    SCOPED_TRACE(text_of(op, types.inputs, {}));
    verify(one);
  }
  for (int threads : {2, 3}) attempt({.threads = threads}, same_bits);
  if (answer.pitched_inputs) attempt({.threads = 2, .pitched_inputs = true}, false);
  if (answer.pitched_outputs) attempt({.threads = 2, .pitched_outputs = true}, false);
  if (answer.pitched_inputs && answer.pitched_outputs)
    attempt({.pitched_inputs = true, .pitched_outputs = true}, false);
  if (answer.overwrites_first && types.inputs[0] == types.outputs[0]) attempt({.threads = 2, .in_place = true}, false);
}

double largest(const Array& values) {
  double result = 0;
  for (double x : values)
    if (std::isfinite(x)) result = std::max(result, std::fabs(x));
  return result;
}

void expect_close(const Array& actual, const Array& expected, double tolerance, std::size_t result) {
  ASSERT_EQ(actual.size(), expected.size()) << "result " << result;
  const double limit = tolerance * largest(expected);
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (std::isfinite(expected[i]) ? std::fabs(actual[i] - expected[i]) <= limit
                                   : actual[i] == expected[i] || std::isnan(expected[i]))
      continue;
    ADD_FAILURE() << "result " << result << " element " << i << ": " << actual[i] << " instead of " << expected[i]
                  << ", allowed difference " << limit;
    return;
  }
}

/// 16-bit outputs are rounded once more.
double rounding_of(DType type) {
  return type == DType::BF16 ? 0x1p-8 : type == DType::F16 ? 0x1p-11 : 0;
}

/// The slope at 0 of a function of one number.
template <typename Function>
double slope_at_zero(const Function& function) {
  constexpr double h = 1e-3;
  return (8 * (function(h) - function(-h)) - (function(2 * h) - function(-2 * h))) / (12 * h);
}

/// Compares `slopes` (dL/dinput) with differences of L in single elements and in directions.
void expect_slopes(const Array& slopes, Array& input, const std::function<double()>& loss, Tolerance tolerance) {
  ASSERT_EQ(slopes.size(), input.size());
  const Array start = input;
  std::mt19937 engine(1);
  const double limit = tolerance.relative * std::max(largest(slopes), 1e-6);
  const std::size_t single = start.size() <= 40 ? start.size() : 16;
  for (std::size_t i = 0; i < single; ++i) {
    const std::size_t at = single == start.size() ? i : engine() % start.size();
    const double expected = slope_at_zero([&](double t) {
      input[at] = start[at] + t;
      return loss();
    });
    input = start;
    EXPECT_LE(std::fabs(slopes[at] - expected), limit) << "element " << at << ": " << slopes[at] << " for " << expected;
  }
  for (int trial = 0; trial < 3; ++trial) {
    Array direction(start.size());
    for (double& x : direction) x = engine() % 2 == 0 ? 1 : -1;
    const double expected = slope_at_zero([&](double t) {
      for (std::size_t i = 0; i < start.size(); ++i) input[i] = start[i] + t * direction[i];
      return loss();
    });
    input = start;
    double actual = 0;
    for (std::size_t i = 0; i < start.size(); ++i) actual += slopes[i] * direction[i];
    EXPECT_LE(std::fabs(actual - expected), 2 * limit * std::sqrt(static_cast<double>(start.size())))
        << "direction " << trial << ": " << actual << " for " << expected;
  }
}

}  // namespace

ir::Types infer_outputs(const ir::Op& op, const Tensors& inputs) {
  ir::Types types;
  for (const Tensor& input : inputs) types.push_back(input.type);
  return std::visit([&](const auto& node) { return infer(node, types); }, op);
}

std::vector<Array> run(const ir::Op& op, const Tensors& inputs) {
  return run_variant(op, inputs, {});
}

void check(const ir::Op& op, const Tensors& inputs, Tolerance tolerance) {
  const ir::Types outputs = infer_outputs(op, inputs);
  const auto expected = reference(op, inputs, outputs);
  run_variants(op, inputs, tolerance.same_bits, [&](const std::vector<Array>& results) {
    ASSERT_EQ(results.size(), expected.size());
    const auto written = ir::writes_of(op);
    for (std::size_t i = 0; i < results.size(); ++i) {
      const ir::Type& type =
          i < outputs.size() ? outputs[i] : inputs[static_cast<std::size_t>(written[i - outputs.size()])].type;
      expect_close(results[i], expected[i], tolerance.relative + rounding_of(type.dtype), i);
    }
  });
}

void check_gradient(const GradientCase& test, const Tensors& forward_inputs, Tolerance tolerance) {
  Tensors at = forward_inputs;
  const ir::Types forward_types = infer_outputs(test.forward, at);
  const auto forward_results = reference(test.forward, at, forward_types);
  const Tensor slope = random_tensor(forward_types[0], 77);
  Tensors inputs;
  for (const Source& source : test.sources) {
    if (source.kind == Source::Slope) inputs.push_back(slope);
    if (source.kind == Source::Input) inputs.push_back(at[source.index]);
    if (source.kind == Source::Output) {
      inputs.push_back({forward_types[source.index], forward_results[source.index]});
      for (double& x : inputs.back().values) x = rounded(x, forward_types[source.index].dtype);
    }
  }
  const ir::Types outputs = infer_outputs(test.gradient, inputs);
  const auto loss = [&] {
    const Array y = reference(test.forward, at, forward_types)[0];
    double sum = 0;
    for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * slope.values[i];
    return sum;
  };
  // The differences are dear: they judge one run, the other variants must agree with that run.
  const auto first = run_variant(test.gradient, inputs, {});
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    SCOPED_TRACE(fmt::format("{}{} output {} {}", ir::name_of(test.gradient), ir::attributes_of(test.gradient), i,
                             outputs[i].text()));
    expect_slopes(first[i], at[test.slopes_of[i]].values, loss,
                  {.relative = tolerance.relative + rounding_of(outputs[i].dtype)});
  }
  run_variants(test.gradient, inputs, tolerance.same_bits, [&](const std::vector<Array>& results) {
    for (std::size_t i = 0; i < results.size(); ++i)
      expect_close(results[i], first[i], tolerance.relative + rounding_of(outputs[i].dtype), i);
  });
}

}  // namespace ldmpi::test
