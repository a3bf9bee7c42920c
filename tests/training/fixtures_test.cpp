// The U-Nets of three families against diffusers: outputs, loss, gradients, AdamW steps through the training program.
// LDMPI_TEST_FIXTURES may name another folder of such files.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "reference_net.h"

namespace ldmpi::test {
namespace {

// Tolerances follow the distance of the reference's own float32 results from float64 (tests/fixtures/README.md).
constexpr double kOutputAbsolute = 2e-5;
constexpr double kLossRelative = 1e-6;
constexpr double kGradientL2 = 1e-4;
constexpr double kLateLossRelative = 1e-5;

std::vector<std::filesystem::path> files() {
  const char* folder = std::getenv("LDMPI_TEST_FIXTURES");
  const auto root = folder != nullptr ? std::filesystem::path(folder)
                                      : std::filesystem::path(std::getenv("LDMPI_SOURCE_DIR")) / "tests" / "fixtures";
  std::vector<std::filesystem::path> result;
  for (const auto& entry : std::filesystem::directory_iterator(root))
    if (entry.path().extension() == ".safetensors") result.push_back(entry.path());
  std::sort(result.begin(), result.end());
  return result;
}

double max_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double result = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i)
    result = std::max(result, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return result;
}

double relative_l2(const std::vector<float>& a, const std::vector<float>& reference) {
  if (a.size() != reference.size()) return INFINITY;
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - static_cast<double>(reference[i]), 2);
    norm += std::pow(static_cast<double>(reference[i]), 2);
  }
  return std::sqrt(difference / std::max(norm, 1e-30));
}

TEST(Fixtures, AreThere) {
  ASSERT_GE(files().size(), 3U);
}

TEST(Fixtures, OutputLossAndGradients) {
  for (const auto& path : files()) {
    SCOPED_TRACE(path.filename().string());
    const ReferenceNet reference(path);
    LoadedNet net(reference, LoadedNet::Kind::Probe);
    net.run();
    EXPECT_LT(max_difference(net.output("prediction"), reference.values("outputs/sample")), kOutputAbsolute);
    const double loss = reference.doubles("outputs/loss").at(0);
    EXPECT_NEAR(static_cast<double>(net.output("loss").at(0)), loss, kLossRelative * loss);
    EXPECT_LT(relative_l2(net.output("input_grad.sample"), reference.values("input_grads/sample")), kGradientL2);
    EXPECT_LT(relative_l2(net.output("input_grad.context"), reference.values("input_grads/encoder_hidden_states")),
              kGradientL2);
    if (reference.has("input_grads/text_embeds")) {
      EXPECT_LT(relative_l2(net.output("input_grad.pooled"), reference.values("input_grads/text_embeds")), kGradientL2);
    }
    for (const auto& entry : net.table().entries()) {
      const auto name = "grads/" + entry.name;
      ASSERT_TRUE(reference.has(name)) << name;
      EXPECT_LT(
          relative_l2(reference.like_reference(name, net.tensor(ir::Arena::Gradients, entry)), reference.values(name)),
          kGradientL2)
          << name;
    }
  }
}

// The first step moves every weight by about the learning rate times the gradient's sign, so weights are compared by
// the norm of their change, whose floor is set by the few gradients that are zero but for rounding.
TEST(Fixtures, AdamWThroughTheTrainingProgram) {
  for (const auto& path : files()) {
    SCOPED_TRACE(path.filename().string());
    const ReferenceNet reference(path);
    LoadedNet net(reference, LoadedNet::Kind::Step);
    const auto losses = reference.doubles("outputs/losses_steps_1_3_and_after");
    for (int step = 1; step <= 4; ++step) {
      net.run();
      const auto expected = losses.at(static_cast<std::size_t>(step - 1));
      EXPECT_NEAR(static_cast<double>(net.output("loss").at(0)), expected, kLateLossRelative * expected)
          << "step " << step;
      if (step != 1 && step != 3) continue;
      const std::string group = step == 1 ? "adamw1/" : "adamw3/";
      for (const auto& entry : net.table().entries()) {
        const auto name = group + entry.name;
        ASSERT_TRUE(reference.has(name)) << name;
        const auto before = reference.like_reference(name, reference.values("weights/" + entry.name));
        const auto gradient = reference.values("grads/" + entry.name);
        auto expected_change = reference.values(name);
        auto change = reference.like_reference(name, net.tensor(ir::Arena::Weights, entry));
        for (std::size_t i = 0; i < change.size(); ++i) {
          const bool clear = std::abs(gradient[i]) > 1e-6F;
          change[i] = clear ? change[i] - before[i] : 0.0F;
          expected_change[i] = clear ? expected_change[i] - before[i] : 0.0F;
        }
        EXPECT_LT(relative_l2(change, expected_change), 2e-2) << name;
        EXPECT_LT(max_difference(change, expected_change), 2e-3 * step) << name;
      }
    }
  }
}

}  // namespace
}  // namespace ldmpi::test
