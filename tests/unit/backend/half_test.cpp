#include <gtest/gtest.h>

#include "backend/cpu/half_wrapper.h"
#include "backend/cpu/weight_layout.h"
#include "run_node.h"

namespace ldmpi::test {
namespace {

class HalfTypes : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(Both, HalfTypes, testing::Values(DType::BF16, DType::F16),
                         [](const auto& test) { return std::string(name_of(test.param)); });

// A convolution in 16 bits equals the f32 convolution of the widened operands, rounded once; pitches are gathered.
TEST_P(HalfTypes, ConvolutionRoundsOnlyItsResult) {
  const auto half = [](ir::Type type) {
    type.dtype = GetParam();
    return type;
  };
  const Shape kernel{10, 12, 3, 3};
  const backend::NodeTypes wide{{image({2, 12, 5, 4}), weight(kernel)}, {image({2, 10, 5, 4})}};
  const backend::NodeTypes types{{half(image({2, 12, 5, 4}, 15)), half(weight(kernel))},
                                 {half(image({2, 10, 5, 4}, 11))}};
  const auto narrowed = [](const std::vector<float>& values) {
    std::vector<std::uint16_t> result(values.size());
    convert_from_float(values.data(), GetParam(), result.data(), values.size());
    return result;
  };
  const auto widened = [](const std::vector<std::uint16_t>& values) {
    std::vector<float> result(values.size());
    convert_to_float(values.data(), GetParam(), result.data(), values.size());
    return result;
  };
  const auto x = narrowed(random_floats(40 * 15, 1));
  std::vector<float> packed(static_cast<std::size_t>(stored_elements(weight(kernel))));
  backend::cpu::pack_weight(kernel, random_floats(kernel.count(), 2), packed);
  const auto w = narrowed(packed);

  const auto x_wide = widened(x);
  std::vector<float> x_dense;
  for (std::size_t row = 0; row < 40; ++row) x_dense.insert(x_dense.end(), &x_wide[row * 15], &x_wide[row * 15] + 12);
  const auto expected = narrowed(run_node(ir::Conv2d{}, wide, {x_dense, widened(w)}));

  const auto [node, bytes] = prepare(ir::Conv2d{}, types);
  const auto answer = backend::cpu_answer(ir::Conv2d{}, types);
  EXPECT_TRUE(answer.pitched_inputs && answer.pitched_outputs && answer.overwrites_first);
  const auto workspace = backend::make_cpu_device(1)->allocate(bytes);
  std::vector<std::uint16_t> y(40 * 11, 0xabcd);
  const std::array<const void*, 2> inputs{x.data(), w.data()};
  void* output = y.data();
  node->run({.inputs = inputs, .outputs = {&output, 1}, .workspace = workspace->data()});
  for (std::size_t row = 0; row < 40; ++row) {
    for (std::size_t c = 0; c < 10; ++c) ASSERT_EQ(y[row * 11 + c], expected[row * 10 + c]) << row << " " << c;
    ASSERT_EQ(y[row * 11 + 10], 0xabcd);
  }
}

}  // namespace
}  // namespace ldmpi::test
