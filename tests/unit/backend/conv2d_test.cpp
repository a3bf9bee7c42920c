#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>

#include "backend/cpu/weight_layout.h"
#include "base/check.h"
#include "run_node.h"

namespace ldmpi::test {
namespace {

struct Case {
  std::int64_t n, c, h, w, o;
  int kernel = 3, stride = 1, padding = 1;
  std::int64_t x_extra = 0, y_extra = 0;  ///< pitch beyond the channels

  [[nodiscard]] ir::Conv2d op() const { return {stride, padding}; }
  [[nodiscard]] std::int64_t out(std::int64_t extent) const { return (extent + 2 * padding - kernel) / stride + 1; }
  [[nodiscard]] ir::Type x() const { return image({n, c, h, w}, c + x_extra); }
  [[nodiscard]] ir::Type y() const { return image({n, o, out(h), out(w)}, o + y_extra); }
  [[nodiscard]] Shape block() const { return {o, c, kernel, kernel}; }
};

/// Visits (x index, w index in canonical order, y index) of every product of the convolution.
void for_each_product(const Case& c, auto&& visit) {
  const std::int64_t k = c.kernel;
  for (std::int64_t n = 0; n < c.n; ++n)
    for (std::int64_t i = 0; i < c.out(c.h); ++i)
      for (std::int64_t j = 0; j < c.out(c.w); ++j)
        for (std::int64_t u = 0; u < k; ++u)
          for (std::int64_t v = 0; v < k; ++v) {
            const std::int64_t row = i * c.stride + u - c.padding, column = j * c.stride + v - c.padding;
            if (row < 0 || row >= c.h || column < 0 || column >= c.w) continue;
            const std::int64_t x = ((n * c.h + row) * c.w + column) * (c.c + c.x_extra);
            const std::int64_t y = ((n * c.out(c.h) + i) * c.out(c.w) + j) * (c.o + c.y_extra);
            for (std::int64_t o = 0; o < c.o; ++o)
              for (std::int64_t in = 0; in < c.c; ++in)
                visit(static_cast<std::size_t>(x + in), static_cast<std::size_t>(((o * c.c + in) * k + u) * k + v),
                      static_cast<std::size_t>(y + o));
          }
}

void expect_near(const std::vector<float>& got, const std::vector<double>& expected, std::int64_t columns,
                 std::int64_t pitch) {
  ASSERT_EQ(got.size(), expected.size());
  double scale = 0;
  for (double value : expected) scale = std::max(scale, std::abs(value));
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (static_cast<std::int64_t>(i) % pitch >= columns)
      ASSERT_EQ(got[i], kUntouched) << i;
    else
      ASSERT_NEAR(static_cast<double>(got[i]), expected[i], 2e-6 * scale + 1e-7) << i;
  }
}

void check(const Case& c) {
  const auto stored = [](const ir::Type& type, std::uint64_t seed) {
    return random_floats(stored_elements(type), seed);
  };
  const auto x = stored(c.x(), 1), y = stored(c.y(), 2), bias = random_floats(c.o, 3);
  const auto w = random_floats(c.block().count(), 4);
  std::vector<float> packed(static_cast<std::size_t>(stored_elements(weight(c.block()))));
  backend::cpu::pack_weight(c.block(), w, packed);
  const auto at = [](const std::vector<float>& values, std::size_t i) { return static_cast<double>(values[i]); };

  std::vector<double> forward(y.size()), input_grad(x.size()), weight_grad(w.size());
  for_each_product(c, [&](std::size_t xi, std::size_t wi, std::size_t yi) {
    forward[yi] += at(x, xi) * at(w, wi);
    input_grad[xi] += at(y, yi) * at(w, wi);
    weight_grad[wi] += at(y, yi) * at(x, xi);
  });

  const auto dx = run_node(ir::Conv2dInputGrad{c.op(), c.h, c.w}, {{c.y(), weight(c.block())}, {c.x()}}, {y, packed});
  ASSERT_NO_FATAL_FAILURE(expect_near(dx, input_grad, c.c, c.c + c.x_extra)) << "input gradient";

  const auto dw = run_node(ir::Conv2dWeightGrad{c.op(), c.kernel}, {{c.y(), c.x()}, {weight(c.block())}}, {y, x});
  std::vector<float> canonical(w.size()), again(packed.size());
  backend::cpu::unpack_weight(c.block(), dw, canonical);
  ASSERT_NO_FATAL_FAILURE(expect_near(canonical, weight_grad, 1, 1)) << "weight gradient";
  backend::cpu::pack_weight(c.block(), canonical, again);
  ASSERT_EQ(again, dw) << "the padding of a weight gradient must be zero";

  ASSERT_NO_FATAL_FAILURE(
      expect_near(run_node(c.op(), {{c.x(), weight(c.block())}, {c.y()}}, {x, packed}), forward, c.o, c.o + c.y_extra));
  const ir::Type bias_type{DType::F32, Shape{c.o}};
  const auto biased = run_node(c.op(), {{c.x(), weight(c.block()), bias_type}, {c.y()}}, {x, packed, bias});
  for (std::size_t i = 0; i < forward.size(); ++i) {
    const std::size_t column = i % static_cast<std::size_t>(c.o + c.y_extra);
    if (column < bias.size()) forward[i] += at(bias, column);
  }
  ASSERT_NO_FATAL_FAILURE(expect_near(biased, forward, c.o, c.o + c.y_extra)) << "with bias";
}

class Convolution : public testing::TestWithParam<Case> {};

TEST_P(Convolution, AllPassesEqualTheDefinition) {
  for (int threads : {1, 3}) {
    omp_set_num_threads(threads);
    ASSERT_NO_FATAL_FAILURE(check(GetParam())) << threads << " threads";
  }
  omp_set_num_threads(2);
}

INSTANTIATE_TEST_SUITE_P(Sizes, Convolution,
                         testing::Values(Case{2, 16, 8, 8, 16}, Case{1, 1, 1, 1, 1}, Case{2, 4, 9, 7, 64},
                                         Case{2, 64, 7, 9, 4}, Case{1, 3, 5, 5, 5}, Case{1, 10, 6, 5, 20},
                                         Case{3, 33, 4, 4, 17}, Case{2, 16, 8, 8, 16, 3, 2}, Case{2, 24, 9, 7, 8, 3, 2},
                                         Case{1, 5, 7, 8, 9, 3, 2}, Case{1, 8, 6, 6, 8, 3, 1, 0},
                                         Case{1, 8, 9, 9, 8, 5, 1, 2}, Case{2, 16, 5, 5, 24, 1, 1, 0},
                                         Case{2, 16, 8, 8, 16, 3, 1, 1, 8, 24}, Case{2, 16, 8, 8, 16, 3, 1, 1, 5, 0},
                                         Case{2, 16, 8, 8, 16, 3, 1, 1, 0, 3}, Case{2, 4, 9, 7, 64, 3, 1, 1, 3, 1},
                                         Case{2, 64, 9, 7, 4, 3, 2, 1, 1, 2}, Case{1, 320, 4, 4, 320}),
                         [](const auto& test) {
                           const Case& c = test.param;
                           return fmt::format("n{}_c{}_h{}_w{}_o{}_k{}_s{}_p{}_x{}_y{}", c.n, c.c, c.h, c.w, c.o,
                                              c.kernel, c.stride, c.padding, c.x_extra, c.y_extra);
                         });

TEST(ConvolutionChoice, NeverTheReferenceLoops) {
  for (const Case& c :
       {Case{1, 320, 8, 8, 320}, Case{4, 4, 64, 64, 64}, Case{4, 64, 64, 64, 4}, Case{4, 64, 64, 64, 64, 3, 2}}) {
    const auto forward = backend::make_cpu_kernel(c.op(), {{c.x(), weight(c.block())}, {c.y()}});
    const auto input =
        backend::make_cpu_kernel(ir::Conv2dInputGrad{c.op(), c.h, c.w}, {{c.y(), weight(c.block())}, {c.x()}});
    const auto weights =
        backend::make_cpu_kernel(ir::Conv2dWeightGrad{c.op(), 3}, {{c.y(), c.x()}, {weight(c.block())}});
    for (const auto* kernel : {&forward, &input, &weights})
      EXPECT_EQ((*kernel)->choice().find("ref"), std::string::npos) << (*kernel)->choice();
  }
}

TEST(ConvolutionRepeat, EqualBitsInEveryRun) {
  omp_set_num_threads(2);
  const Case c{2, 24, 9, 9, 40};
  const auto x = random_floats(stored_elements(c.x()), 1), y = random_floats(stored_elements(c.y()), 2);
  const auto first = run_node(ir::Conv2dWeightGrad{c.op(), 3}, {{c.y(), c.x()}, {weight(c.block())}}, {y, x});
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(run_node(ir::Conv2dWeightGrad{c.op(), 3}, {{c.y(), c.x()}, {weight(c.block())}}, {y, x}), first);
}

}  // namespace
}  // namespace ldmpi::test
