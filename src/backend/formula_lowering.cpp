#include "backend/formula_lowering.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

#include "backend/cuda_answers.h"
#include "backend/cuda_scratch.h"

namespace ldmpi::backend {
namespace {

struct Gpu {
  std::string_view target;
  std::int64_t mebibytes;
};
constexpr std::array kGpus{Gpu{"cuda:a100", 81920}, Gpu{"cuda:h100", 81559}, Gpu{"cuda:h200", 143771},
                           Gpu{"cuda:b200", 183359}, Gpu{"cuda:rtx4090", 24564}};

std::int64_t padded(std::int64_t channels) {
  return round_up(channels, scratch::kChannels);
}

class FormulaLowering final : public Lowering {
 public:
  explicit FormulaLowering(std::string target) : target_(std::move(target)) {}

  std::string target() const override { return target_; }

  NodeAnswer answer(const ir::Op& op, const NodeTypes& types) const override { return cuda_answer(op, types); }

  WeightLayout weight_layout(const Shape& block) const override {
    if (block.rank() != 4) return {"plain", block.count()};
    return {"ohwi8", padded(block[0]) * padded(block[1]) * block[2] * block[3]};
  }

  void pack(const Shape& block, std::span<const float> canonical, std::span<float> storage) const override {
    std::fill(storage.begin(), storage.end(), 0.0F);
    visit(block, [&](std::size_t from, std::size_t to) { storage[to] = canonical[from]; });
  }
  void unpack(const Shape& block, std::span<const float> storage, std::span<float> canonical) const override {
    visit(block, [&](std::size_t from, std::size_t to) { canonical[from] = storage[to]; });
  }

 private:
  // Calls f(canonical index, storage index) for every element.
  template <typename F>
  static void visit(const Shape& block, F f) {
    if (block.rank() != 4) {
      for (std::size_t i = 0; i < static_cast<std::size_t>(block.count()); ++i) f(i, i);
      return;
    }
    const auto inner = padded(block[1]);
    std::size_t from = 0;
    for (std::int64_t o = 0; o < block[0]; ++o)
      for (std::int64_t c = 0; c < block[1]; ++c)
        for (std::int64_t u = 0; u < block[2]; ++u)
          for (std::int64_t v = 0; v < block[3]; ++v)
            f(from++, static_cast<std::size_t>(((o * block[2] + u) * block[3] + v) * inner + c));
  }

  std::string target_;
};

}  // namespace

std::unique_ptr<Lowering> make_formula_lowering(const std::string& target) {
  std::vector<std::string_view> names;
  for (const auto& gpu : kGpus) names.push_back(gpu.target);
  require(target == "cuda" || device_bytes(target), Exit::BadConfig,
          "--target {}: unknown. Known are cpu, cpu:threads=N, cuda, {}", target, fmt::join(names, ", "));
  return std::make_unique<FormulaLowering>(target);
}

std::optional<std::int64_t> device_bytes(std::string_view target) {
  for (const auto& gpu : kGpus)
    if (gpu.target == target) return gpu.mebibytes << 20;
  return {};
}

}  // namespace ldmpi::backend
