#include <gtest/gtest.h>

#include <cmath>

#include "harness.h"

namespace ldmpi::test {
namespace {

Tensor numbers(DType type, const Array& values) {
  return {{type, {static_cast<std::int64_t>(values.size())}}, values};
}

TEST(Accumulate, AddsInPlace) {
  for (auto type : {DType::F32, DType::BF16, DType::F16})
    for (std::int64_t n : {1, 7, 5000, 40000})
      check(ir::Accumulate{}, {random_tensor(Shape{n}, 1), random_tensor(ir::Type{type, {n}}, 2)});
}

TEST(Accumulate, CoversThePaddingOfParameters) {
  const ir::Type weight{DType::F32, {5, 3, 3, 3}, 0, ir::Layout::Parameter};
  check(ir::Accumulate{}, {random_tensor(weight, 1), random_tensor(weight, 2)});
}

TEST(SumSquares, OverRangesOnly) {
  for (auto type : {DType::F32, DType::BF16, DType::F16})
    check(ir::SumSquares{{{.begin = 0, .end = 10}, {.begin = 100, .end = 40000}, {.begin = 40001, .end = 40003}}},
          {random_tensor(ir::Type{type, {50000}}, 1)}, {.relative = 1e-12});
}

TEST(SumSquares, InfinityStaysVisible) {
  auto g = random_tensor(ir::Type{DType::F16, {100}}, 1);
  g.values[50] = INFINITY;
  EXPECT_TRUE(std::isinf(run(ir::SumSquares{{{.begin = 0, .end = 100}}}, {g})[0][0]));
}

/// The whole arenas of one rank, with gaps; and a shard, whose moments and master copy begin elsewhere.
const std::vector<ir::ParameterRange> kRanges{
    {0, 17, 0, 0, true}, {32, 20000, 32, 32, false}, {20000, 39999, 20000, 20000, true}};
const std::vector<ir::ParameterRange> kShard{{10000, 27001, 8, 0, true}, {30000, 30100, 17100, 17050, false}};

struct Update {
  ir::AdamW op;
  DType gradient = DType::F32;
  DType weight = DType::BF16;
  double sum_squares = 30;
  Array state{4, 0, 0, 1, 0, 6, 0, 0};

  Update(bool weights, bool ema) {
    op.ranges = kRanges;
    op.has_weights = weights;
    op.has_ema = ema;
  }
};

Tensors update_inputs(const Update& u) {
  const std::int64_t n = 40000;
  const ir::Type master{DType::F32, {n}};
  Tensors inputs{numbers(DType::F32, {0.0123F}),
                 numbers(DType::F64, {u.sum_squares}),
                 numbers(DType::F64, u.state),
                 random_tensor(ir::Type{u.gradient, {n}}, 1),
                 random_tensor(master, 2),
                 random_tensor(master, 3, 0.1),
                 random_tensor(master, 4, 0.05, 0.06)};
  if (u.op.has_weights) inputs.push_back(random_tensor(ir::Type{u.weight, {n}}, 5));
  if (u.op.has_ema) inputs.push_back(random_tensor(master, 6));
  return inputs;
}

TEST(AdamW, MatchesReference) {
  for (bool weights : {false, true})
    for (bool ema : {false, true})
      for (auto type : {DType::F32, DType::BF16, DType::F16}) {
        Update u(weights, ema);
        u.gradient = u.weight = type;
        check(u.op, update_inputs(u));
        u.op.max_norm = 0;
        u.op.ema_warmup = false;
        u.op.ema_decay = 0.9F;
        check(u.op, update_inputs(u));
        u.op.ranges = kShard;
        check(u.op, update_inputs(u));
      }
}

TEST(AdamW, FirstStepAndLossScale) {
  Update u(true, true);
  u.sum_squares = 3e9;
  u.state = {0, 0, 0, 65536, 0, 0, 0, 0};
  check(u.op, update_inputs(u));
}

TEST(AdamW, ChangesNothingWhereTheNormIsNotFinite) {
  for (double sum : {static_cast<double>(INFINITY), static_cast<double>(NAN)}) {
    Update u(true, true);
    u.sum_squares = sum;
    const auto inputs = update_inputs(u);
    const auto results = run(u.op, inputs);
    for (std::size_t i = 4; i < inputs.size(); ++i) EXPECT_EQ(results[i - 3], inputs[i].values);
  }
}

TEST(UpdateState, CountsAndMovesTheScale) {
  const ir::UpdateState fixed;
  const ir::UpdateState dynamic{true, 3};
  for (double sum : {4.0, static_cast<double>(INFINITY)})
    for (const Array& state : {Array{4, 1, 2, 1, 0, 6, 0, 0}, Array{4, 1, 2, 1024, 2, 6, 0, 0}})
      for (const auto& op : {fixed, dynamic})
        check(op, {numbers(DType::F64, {sum}), numbers(DType::F64, state)}, {.relative = 1e-15});
}

TEST(ReadState, TimesFactor) {
  check(ir::ReadState{ir::StateSlot::LossScale, 0.25F}, {numbers(DType::F64, {4, 1, 2, 1024, 2, 6, 0, 0})});
}

}  // namespace
}  // namespace ldmpi::test
