// The texts of a small step against stored ones: a change of the graph, the order or the places is seen and meant.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "backend/formula_lowering.h"
#include "ir/print.h"
#include "plan/report.h"
#include "step_programs.h"

namespace ldmpi::plan {
namespace {

// The first line that differs, of both texts.
std::string first_difference(const std::string& stored, const std::string& made) {
  std::istringstream a(stored);
  std::istringstream b(made);
  std::string x;
  std::string y;
  for (int line = 1;; ++line) {
    const bool more_a = static_cast<bool>(std::getline(a, x));
    const bool more_b = static_cast<bool>(std::getline(b, y));
    if (!more_a && !more_b) return "no difference by lines";
    if (!more_a) x = "(end)";
    if (!more_b) y = "(end)";
    if (x != y) return fmt::format("line {}\n  stored: {}\n  now:    {}", line, x, y);
  }
}

void compare(const std::string& name, const std::string& text) {
  const char* root = std::getenv("LDMPI_SOURCE_DIR");
  ASSERT_NE(root, nullptr) << "LDMPI_SOURCE_DIR is not set";
  const auto path = std::filesystem::path(root) / "tests/unit/plan/golden" / name;
  if (const char* write = std::getenv("LDMPI_TEST_WRITE_GOLDEN"); write != nullptr && std::string_view(write) == "1") {
    std::ofstream(path) << text;
    GTEST_SKIP() << "wrote " << path;
  }
  std::ifstream file(path);
  ASSERT_TRUE(file.good()) << path << " is missing: LDMPI_TEST_WRITE_GOLDEN=1 ctest -R plan_test writes it";
  const std::string stored(std::istreambuf_iterator<char>(file), {});
  EXPECT_TRUE(stored == text)
      << path << " differs at " << first_difference(stored, text)
      << "\nIf the change is meant: LDMPI_TEST_WRITE_GOLDEN=1 ctest -R plan_test, then review the diff.";
}

// Answers by formula, hence alike on every machine: what the CPU's library picks depends on the instruction set. The
// scratch of a convolution is far above this net's values and would hide how they are placed: it is made small.
class SmallScratch : public backend::Lowering {
 public:
  [[nodiscard]] std::string target() const override { return formula_->target(); }
  [[nodiscard]] backend::NodeAnswer answer(const ir::Op& op, const backend::NodeTypes& types) const override {
    auto result = formula_->answer(op, types);
    result.workspace_bytes = std::min<std::size_t>(result.workspace_bytes, 1024);
    return result;
  }
  [[nodiscard]] backend::WeightLayout weight_layout(const Shape& block) const override {
    return formula_->weight_layout(block);
  }
  void pack(const Shape& block, std::span<const float> from, std::span<float> to) const override {
    formula_->pack(block, from, to);
  }
  void unpack(const Shape& block, std::span<const float> from, std::span<float> to) const override {
    formula_->unpack(block, from, to);
  }

 private:
  const std::unique_ptr<backend::Lowering> formula_ = backend::make_formula_lowering("cuda:h100");
};

// Two ranks with sharded state: every kind of node is there.
class Golden : public ::testing::Test {
 protected:
  const SmallScratch lowering_;
  const test::StepProgram step_{test::tiny_unet(), lowering_, {.compute = DType::BF16, .ranks = 2, .shards = 2}};
  const std::unique_ptr<exec::ProgramSet> programs_ = step_.compile(step_.graph());
  const exec::Program& program_ = programs_->programs()[0];
};

TEST_F(Golden, Graph) {
  compare("graph.txt", ir::print(program_.graph));
}

TEST_F(Golden, Schedule) {
  compare("schedule.txt", print_schedule(program_.graph, program_.plan));
}

TEST_F(Golden, Plan) {
  auto text = print_peak(program_.graph, program_.plan, 8);
  for (int a = 0; a < ir::kArenas; ++a)
    text += fmt::format("{} {}\n", name_of(static_cast<ir::Arena>(a)),
                        programs_->arena_bytes()[static_cast<std::size_t>(a)]);
  compare("plan.txt", text);
}

}  // namespace
}  // namespace ldmpi::plan
