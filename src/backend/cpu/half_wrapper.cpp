#include "backend/cpu/half_wrapper.h"

#include <algorithm>
#include <array>

#include "backend/cpu/parallel.h"
#include "backend/cpu/weight_layout.h"
#include "base/check.h"

namespace ldmpi::backend::cpu {

namespace {

/// body(first 16-bit element, first float, count) over all pieces of an operand.
template <typename Body>
void for_each_piece(const HalfPlan::Slot& slot, const Body& body) {
  constexpr std::int64_t kPiece = 16384;
  const std::int64_t pitch = slot.type.row_pitch();
  const bool flat = slot.rows == 1 || slot.columns == pitch;
  const std::int64_t rows = flat ? 1 : slot.rows;
  const std::int64_t columns = flat ? slot.rows * slot.columns : slot.columns;
  const std::int64_t pieces = ceil_div(columns, kPiece);
  parallel_for(rows * pieces, rows * columns, [&](std::int64_t i) {
    const std::int64_t row = i / pieces, begin = i % pieces * kPiece;
    body(row * pitch + begin, row * columns + begin, std::min(kPiece, columns - begin));
  });
}

constexpr std::size_t kMaxOperands = 32;

class HalfKernel final : public Kernel {
 public:
  HalfKernel(HalfPlan plan, KernelPtr inner) : plan_(std::move(plan)), inner_(std::move(inner)) {
    LDMPI_CHECK(plan_.inputs().size() <= kMaxOperands && plan_.outputs().size() <= kMaxOperands, "{} operands",
                plan_.inputs().size() + plan_.outputs().size());
  }

  void run(const KernelArgs& args) const override {
    auto* base = static_cast<std::byte*>(args.workspace);
    std::array<const void*, kMaxOperands> inputs{};
    std::array<void*, kMaxOperands> outputs{};
    for (std::size_t i = 0; i < plan_.inputs().size(); ++i) {
      const auto& slot = plan_.inputs()[i];
      inputs[i] = args.inputs[i];
      if (!slot.converted) continue;
      auto* copy = reinterpret_cast<float*>(base + slot.offset);
      for_each_piece(slot, [&](std::int64_t from, std::int64_t to, std::int64_t count) {
        convert_to_float(args.in<std::uint16_t>(i) + from, slot.type.dtype, copy + to, static_cast<std::size_t>(count));
      });
      inputs[i] = copy;
    }
    for (std::size_t i = 0; i < plan_.outputs().size(); ++i) {
      const auto& slot = plan_.outputs()[i];
      outputs[i] = slot.converted ? base + slot.offset : args.outputs[i];
    }
    inner_->run({.inputs = {inputs.data(), plan_.inputs().size()},
                 .outputs = {outputs.data(), plan_.outputs().size()},
                 .workspace = base + plan_.bytes()});
    for (std::size_t i = 0; i < plan_.outputs().size(); ++i) {
      const auto& slot = plan_.outputs()[i];
      if (!slot.converted) continue;
      const auto* copy = static_cast<const float*>(outputs[i]);
      for_each_piece(slot, [&](std::int64_t to, std::int64_t from, std::int64_t count) {
        convert_from_float(copy + from, slot.type.dtype, args.out<std::uint16_t>(i) + to, static_cast<std::size_t>(count));
      });
    }
  }

  [[nodiscard]] std::string choice() const override { return inner_->choice() + " in f32"; }

 private:
  HalfPlan plan_;
  KernelPtr inner_;
};

}  // namespace

HalfPlan::Slot HalfPlan::place(const ir::Type& type) {
  Slot slot{.type = type, .rows = type.rows(), .columns = type.columns(), .converted = is_half(type.dtype)};
  if (type.layout == ir::Layout::Parameter) {
    slot.rows = 1;
    slot.columns = weight_layout_of(type.shape).elements;
  }
  if (slot.converted) {
    slot.offset = bytes_;
    bytes_ += static_cast<std::size_t>(round_up(slot.rows * slot.columns * std::int64_t{sizeof(float)}, 64));
  }
  return slot;
}

HalfPlan::HalfPlan(const NodeTypes& types) {
  for (const auto& type : types.inputs) inputs_.push_back(place(type));
  for (const auto& type : types.outputs) outputs_.push_back(place(type));
}

NodeTypes HalfPlan::inner_types() const {
  const auto inner = [](const Slot& slot) {
    return slot.converted ? ir::Type{DType::F32, slot.type.shape, 0, slot.type.layout} : slot.type;
  };
  NodeTypes types;
  std::ranges::transform(inputs_, std::back_inserter(types.inputs), inner);
  std::ranges::transform(outputs_, std::back_inserter(types.outputs), inner);
  return types;
}

NodeAnswer HalfPlan::answer(const NodeAnswer& inner) const {
  const auto all_converted = [](const std::vector<Slot>& slots) {
    return std::ranges::all_of(slots, &Slot::converted);
  };
  NodeAnswer answer = inner;
  answer.workspace_bytes += bytes_;
  answer.pitched_inputs = inner.pitched_inputs || all_converted(inputs_);
  answer.pitched_outputs = inner.pitched_outputs || all_converted(outputs_);
  // Every 16-bit input is read before the first 16-bit output is written.
  answer.overwrites_first = inner.overwrites_first || (all_converted(inputs_) && all_converted(outputs_));
  return answer;
}

KernelPtr make_half_kernel(HalfPlan plan, KernelPtr inner) {
  return std::make_unique<const HalfKernel>(std::move(plan), std::move(inner));
}

}  // namespace ldmpi::backend::cpu
