#include "backend/cpu/half_wrapper.h"

#include <algorithm>
#include <array>
#include <bit>

#include "backend/cpu/parallel.h"
#include "backend/cpu/weight_layout.h"
#include "base/check.h"

namespace ldmpi::backend::cpu {

namespace {

// The conversions of base/dtype.h without branches, so that loops over them become vector code.
float widen_f16(std::uint16_t bits) {
  const std::uint32_t magnitude = (bits & 0x7fffU) << 13;
  // Half exponents move into place by an exact product, subnormals included; infinity and NaN keep their mantissa.
  const std::uint32_t finite = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F);
  const std::uint32_t value = magnitude >= 0x0f800000U ? magnitude | 0x7f800000U : finite;
  return std::bit_cast<float>(value | (static_cast<std::uint32_t>(bits & 0x8000U) << 16));
}

std::uint16_t narrow_f16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  const std::uint32_t normal = (magnitude - 0x38000000U + 0xfffU + ((magnitude >> 13) & 1U)) >> 13;
  // Adding 0.5 lets the addition round the mantissa of a subnormal half.
  const std::uint32_t subnormal =
      std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude < 0x38800000U ? magnitude : 0U) + 0.5F) - 0x3f000000U;
  const std::uint32_t special = magnitude > 0x7f800000U ? 0x7e00U : 0x7c00U;
  std::uint32_t half = magnitude < 0x38800000U ? subnormal : normal;
  half = magnitude >= 0x47800000U ? special : half;
  return static_cast<std::uint16_t>(half | ((bits >> 16) & 0x8000U));
}

std::uint16_t narrow_bf16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  return static_cast<std::uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? (bits >> 16) | 0x40U : rounded);
}

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
        widen(args.in<std::uint16_t>(i) + from, slot.type.dtype, copy + to, count);
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
        narrow(copy + from, slot.type.dtype, args.out<std::uint16_t>(i) + to, count);
      });
    }
  }

  [[nodiscard]] std::string choice() const override { return inner_->choice() + " in f32"; }

 private:
  HalfPlan plan_;
  KernelPtr inner_;
};

}  // namespace

void widen(const std::uint16_t* source, DType type, float* target, std::int64_t count) {
  if (type == DType::BF16) {
    for (std::int64_t i = 0; i < count; ++i) target[i] = from_bf16(source[i]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) target[i] = widen_f16(source[i]);
  }
}

void narrow(const float* source, DType type, std::uint16_t* target, std::int64_t count) {
  if (type == DType::BF16) {
    for (std::int64_t i = 0; i < count; ++i) target[i] = narrow_bf16(source[i]);
  } else {
    for (std::int64_t i = 0; i < count; ++i) target[i] = narrow_f16(source[i]);
  }
}

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
