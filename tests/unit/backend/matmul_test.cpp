#include <gtest/gtest.h>
#include <omp.h>

#include "base/check.h"
#include "run_node.h"

namespace ldmpi::test {
namespace {

struct Case {
  std::int64_t rows, inner, columns;
  std::int64_t a_extra = 0, b_extra = 0, y_extra = 0;  ///< pitch beyond the columns
};

backend::NodeTypes types_of(const ir::MatMul& op, const Case& c, bool bias) {
  const auto a =
      op.transpose_a ? matrix(c.inner, c.rows, c.rows + c.a_extra) : matrix(c.rows, c.inner, c.inner + c.a_extra);
  const auto b = op.transpose_b ? matrix(c.columns, c.inner, c.inner + c.b_extra)
                                : matrix(c.inner, c.columns, c.columns + c.b_extra);
  backend::NodeTypes types{{a, b}, {matrix(c.rows, c.columns, c.columns + c.y_extra)}};
  if (bias) types.inputs.push_back({DType::F32, Shape{c.columns}});
  return types;
}

void check(const ir::MatMul& op, const Case& c, bool bias) {
  const auto types = types_of(op, c, bias);
  std::vector<std::vector<float>> inputs;
  for (const auto& type : types.inputs) inputs.push_back(random_floats(stored_elements(type), inputs.size() + 1));
  const auto y = run_node(op, types, inputs);
  const std::int64_t a_pitch = types.inputs[0].row_pitch(), b_pitch = types.inputs[1].row_pitch();
  for (std::int64_t m = 0; m < c.rows; ++m) {
    for (std::int64_t n = 0; n < c.columns; ++n) {
      double sum = bias ? static_cast<double>(inputs[2][static_cast<std::size_t>(n)]) : 0.0;
      for (std::int64_t k = 0; k < c.inner; ++k) {
        const auto a = inputs[0][static_cast<std::size_t>(op.transpose_a ? k * a_pitch + m : m * a_pitch + k)];
        const auto b = inputs[1][static_cast<std::size_t>(op.transpose_b ? n * b_pitch + k : k * b_pitch + n)];
        sum += static_cast<double>(a) * static_cast<double>(b);
      }
      const auto got = static_cast<double>(y[static_cast<std::size_t>(m * (c.columns + c.y_extra) + n)]);
      // Partial sums grow as the root of the terms, and their rounding errors add up as the root again.
      ASSERT_NEAR(got, sum, 1e-6 + 1e-7 * static_cast<double>(c.inner)) << m << "," << n;
    }
    for (std::int64_t n = c.columns; n < c.columns + c.y_extra; ++n)
      ASSERT_EQ(y[static_cast<std::size_t>(m * (c.columns + c.y_extra) + n)], kUntouched);
  }
}

TEST(MatMul, AllTransposesPitchesAndBias) {
  for (int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    for (bool a : {false, true})
      for (bool b : {false, true})
        for (bool bias : {false, true})
          for (const Case& c : {Case{1, 1, 1}, Case{1, 33, 9}, Case{1, 33, 9, 7, 3, 5}, Case{7, 1, 5, 1, 2, 3},
                                Case{4, 64, 256}, Case{3, 8, 1, 2, 4, 6}, Case{33, 77, 20, 11, 0, 0},
                                Case{33, 77, 20, 0, 5, 0}, Case{33, 77, 20, 3, 4, 5}, Case{64, 130, 96, 64, 32, 96}}) {
            SCOPED_TRACE(fmt::format("{} threads, ta {} tb {} bias {}, [{},{}]x[{}] +{},{},{}", threads, a, b, bias,
                                     c.rows, c.inner, c.columns, c.a_extra, c.b_extra, c.y_extra));
            ASSERT_NO_FATAL_FAILURE(check({a, b}, c, bias));
          }
  }
  omp_set_num_threads(2);
}

// More than one block, slab, panel and piece of the sum; the sums of the last two are cut into chunks.
TEST(MatMul, LargerThanTheBlocks) {
  for (bool a : {false, true})
    for (bool b : {false, true})
      for (const Case& c :
           {Case{203, 701, 150}, Case{40, 330, 1050, 1, 2, 3}, Case{96, 3000, 64}, Case{5, 2000, 33, 3}}) {
        SCOPED_TRACE(fmt::format("ta {} tb {}, [{},{}]x[{}]", a, b, c.rows, c.inner, c.columns));
        ASSERT_NO_FATAL_FAILURE(check({a, b}, c, true));
      }
}

TEST(MatMul, EqualBitsAtAnyNumberOfThreads) {
  for (const ir::MatMul& op : {ir::MatMul{}, ir::MatMul{.transpose_a = true}, ir::MatMul{.transpose_b = true}})
    for (const Case& c : {Case{96, 3000, 64}, Case{203, 701, 150}, Case{16, 100, 700}}) {
      const auto types = types_of(op, c, false);
      const std::vector inputs{random_floats(stored_elements(types.inputs[0]), 1),
                               random_floats(stored_elements(types.inputs[1]), 2)};
      omp_set_num_threads(1);
      const auto first = run_node(op, types, inputs);
      for (int threads : {2, 3, 4, 4}) {
        omp_set_num_threads(threads);
        EXPECT_EQ(run_node(op, types, inputs), first);
      }
    }
  omp_set_num_threads(2);
}

}  // namespace
}  // namespace ldmpi::test
