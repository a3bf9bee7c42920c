// What the emulation is worth: each barrier of a kernel, taken out, must show in the result for some order of threads.

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <set>

#include "../under_test.h"
#include "emulator.h"

namespace ldmpi::test {
namespace {

using Floats = std::vector<float>;

/// Every result of a GroupNorm and of its gradient.
std::vector<Floats> run_group_norm() {
  const ir::Type image{DType::F32, {2, 32, 8, 9}};
  const ir::Type channels{DType::F32, {32}};
  const ir::Type groups{DType::F32, {2, 4}};
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  const auto numbers = [&](const ir::Type& type) {
    Floats values(static_cast<std::size_t>(type.count()));
    for (auto& value : values) value = normal(random);
    return values;
  };
  const auto run = [](const ir::Op& op, const backend::NodeTypes& types, const std::vector<Floats*>& inputs,
                      const std::vector<Floats*>& outputs) {
    std::vector<const void*> sources;
    std::vector<void*> targets;
    for (auto* input : inputs) sources.push_back(input->data());
    for (auto* output : outputs) targets.push_back(output->data());
    std::vector<double> workspace(answer_under_test(op, types).workspace_bytes / sizeof(double) + 8, 0.0);
    kernel_under_test(op, types)->run({sources, targets, workspace.data()});
  };
  auto x = numbers(image), dy = numbers(image), gamma = numbers(channels), beta = numbers(channels);
  Floats y(x.size()), dx(x.size()), mean(8), rstd(8), dgamma(32), dbeta(32);
  const ir::GroupNorm op{.groups = 4, .epsilon = 1e-5F, .silu = true};
  run(op, {{image, channels, channels}, {image, groups, groups}}, {&x, &gamma, &beta}, {&y, &mean, &rstd});
  run(ir::GroupNormGrad{op}, {{image, image, channels, channels, groups, groups}, {image, channels, channels}},
      {&dy, &x, &gamma, &beta, &mean, &rstd}, {&dx, &dgamma, &dbeta});
  return {y, mean, rstd, dx, dgamma, dbeta};
}

bool same_bits(const std::vector<Floats>& a, const std::vector<Floats>& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)) != 0) return false;
  return true;
}

TEST(Emulation, ShowsEveryBarrierThatIsMissing) {
  const auto right = run_group_norm();
  const int barriers = emulation::barriers_met();
  ASSERT_GE(barriers, 3);
  int seen = 0;
  for (int barrier = 0; barrier < barriers; ++barrier) {
    emulation::drop_barrier(barrier);
    bool shows = false;
    for (auto order : {emulation::Order::Forward, emulation::Order::Backward, emulation::Order::Shuffled}) {
      emulation::set_order(order);
      shows = shows || !same_bits(run_group_norm(), right);
    }
    seen += shows ? 1 : 0;
    RecordProperty("barrier " + std::to_string(barrier), shows ? "shows" : "does not show");
  }
  emulation::drop_barrier(-1);
  emulation::set_order(emulation::Order::Forward);
  EXPECT_TRUE(same_bits(run_group_norm(), right));
  EXPECT_EQ(seen, barriers) << "of " << barriers << " barriers only these many are needed by the result";
}

}  // namespace
}  // namespace ldmpi::test
