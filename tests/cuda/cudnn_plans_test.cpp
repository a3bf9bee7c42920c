// Every convolution and attention of whole training steps, asked of cuDNN for GPUs that are not here.

#include "backend/cuda/cudnn.h"

#include <gtest/gtest.h>

#include <set>

#include "backend/cuda/library_kernels.h"
#include "backend/cuda_scratch.h"
#include "backend/formula_lowering.h"
#include "step_programs.h"

namespace ldmpi::backend::cuda {
namespace {

/// What cuDNN asks of a device. The figures are public; plans made for them are looked at, not run.
std::string properties(const char* name, int capability, int processors, int shared_bytes, int clock_khz, long l2_bytes,
                       long memory_bytes) {
  return fmt::format(
      R"({{"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,)"
      R"("multiProcessorCount":{},"warpSize":32,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":{},)"
      R"("reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,)"
      R"("maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,"smClockRateKHz":{},)"
      R"("memClockRateKHz":2619000,"l2CacheSize":{},"deviceName":"{}","deviceVer":{},"driverVer":13000,)"
      R"("totalGlobalMem":{},"cudaDeviceId":0}})",
      processors, shared_bytes, clock_khz, l2_bytes, name, capability * 10, memory_bytes);
}
Cudnn h100() {
  return Cudnn(properties("NVIDIA H100 80GB HBM3", 90, 132, 232448, 1980000, 52428800, 85045542912), 90);
}
Cudnn a100() {
  return Cudnn(properties("NVIDIA A100-SXM4-80GB", 80, 108, 166912, 1410000, 41943040, 85094825984), 80);
}
Cudnn b200() {
  return Cudnn(properties("NVIDIA B200", 100, 148, 232448, 1965000, 132644864, 191510151168), 100);
}

struct Problems {
  std::set<ConvolutionProblem> convolutions;
  std::set<AttentionProblem> attentions;
};

Problems problems_of(std::string_view model, DType type, std::int64_t batch) {
  const auto lowering = make_formula_lowering("cuda");
  const plan::test::StepProgram step(plan::test::shipped_unet(model), *lowering,
                                     {.compute = type, .batch = batch, .bucket_bytes = 128 << 20});
  Problems problems;
  for (const auto& node : step.compile(step.graph())->nodes_to_make()) {
    const auto problem = problem_of(*node.op, node.types, false);
    if (const auto* convolution = std::get_if<ConvolutionProblem>(&problem)) problems.convolutions.insert(*convolution);
    if (const auto* attention = std::get_if<AttentionProblem>(&problem)) problems.attentions.insert(*attention);
  }
  return problems;
}

std::string text(const ConvolutionProblem& p) {
  return fmt::format("convolution pass {} {}->{} channels {}x{} kernel {} stride {} pitches {} {} {}",
                     static_cast<int>(p.pass), p.channels, p.filters, p.height, p.width, p.kernel, p.stride, p.x_pitch,
                     p.y_pitch, name_of(p.dtype));
}
std::string text(const AttentionProblem& p) {
  return fmt::format("attention {} heads {} queries {} keys {} width {} {}", p.gradient ? "gradient" : "forward",
                     p.heads, p.queries, p.keys, p.width, name_of(p.dtype));
}

/// Builds (most = 1), or only asks for support of, everything in a model. Returns the attentions that are refused: the
/// own kernel serves those.
std::set<AttentionProblem> refused(const Cudnn& cudnn, const Problems& problems, int most) {
  for (const auto& problem : problems.convolutions) {
    const auto made = cudnn.plan(
        problem, {.workspace_limit = static_cast<std::size_t>(scratch::kConvolution), .most_engines = most});
    EXPECT_NE(made.plan, nullptr) << text(problem) << ": " << made.refusal;
    if (made.plan && most > 0) {
      EXPECT_LE(made.plan->workspace_bytes(), static_cast<std::size_t>(scratch::kConvolution)) << text(problem);
    }
  }
  std::set<AttentionProblem> without;
  for (const auto& problem : problems.attentions) {
    const auto limit = attention_workspace(problem);
    const auto made = cudnn.plan(problem, {.workspace_limit = limit, .most_engines = most});
    if (!made.plan) {
      without.insert(problem);
      std::cout << text(problem) << ": " << made.refusal.substr(0, 120) << "\n";
    } else if (most > 0) {
      EXPECT_LE(made.plan->workspace_bytes(), limit) << text(problem);
    }
  }
  return without;
}

class Model : public ::testing::TestWithParam<std::pair<const char*, std::int64_t>> {};

TEST_P(Model, IsBuiltForH100) {
  const auto problems = problems_of(GetParam().first, DType::BF16, GetParam().second);
  ASSERT_GT(problems.convolutions.size(), 30U);
  ASSERT_GT(problems.attentions.size(), 3U);
  EXPECT_TRUE(refused(h100(), problems, 1).empty());
}

TEST_P(Model, IsSupportedOnA100AndB200ButForWideHeadsBackwards) {
  const auto problems = problems_of(GetParam().first, DType::BF16, GetParam().second);
  std::set<AttentionProblem> wide;
  for (const auto& problem : problems.attentions)
    if (problem.gradient && problem.width > 128) wide.insert(problem);
  EXPECT_EQ(refused(a100(), problems, 0), wide);
  EXPECT_EQ(refused(b200(), problems, 0), wide);
}

TEST_P(Model, ConvolutionsAreSupportedInEveryPrecision) {
  for (DType type : {DType::F16, DType::F32}) {
    auto problems = problems_of(GetParam().first, type, 2);
    problems.attentions.clear();
    EXPECT_TRUE(refused(h100(), problems, 0).empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Shipped, Model,
                         ::testing::Values(std::pair("sd15", 8), std::pair("sd21", 8), std::pair("sdxl", 2)),
                         [](const auto& model) { return model.param.first; });

}  // namespace
}  // namespace ldmpi::backend::cuda
