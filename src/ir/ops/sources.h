#pragma once
// Ops that bring values into a graph: inputs, persistent memory, constants.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ir/ops/rules.h"

namespace ldmpi::ir {

/// What the host writes before each step. Output: the declared type.
struct Input {
  static constexpr std::string_view name = "input";
  static constexpr bool differentiable = false;
  static constexpr bool has_kernel = false;
  std::string label;
  Type type;

  friend bool operator==(const Input&, const Input&) = default;
  void fields(auto&& field) const { field("label", label); }
};
Types infer(const Input&, TypesView inputs);

/// A slot of a persistent arena. `block` numbers the slot (parameter block, or 0); -1 is the whole arena.
struct Persistent {
  static constexpr std::string_view name = "persistent";
  static constexpr bool differentiable = false;
  static constexpr bool has_kernel = false;
  Arena arena = Arena::Weights;
  int block = -1;
  std::string label;
  Type type;

  friend bool operator==(const Persistent&, const Persistent&) = default;
  void fields(auto&& field) const {
    field("arena", name_of(arena));
    field("label", label);
  }
};
Types infer(const Persistent&, TypesView inputs);

/// A table of floats, f32 [n].
struct Constant {
  static constexpr std::string_view name = "constant";
  static constexpr bool differentiable = false;
  static constexpr bool has_kernel = false;
  std::string label;
  std::shared_ptr<const std::vector<float>> data;

  friend bool operator==(const Constant& a, const Constant& b) { return a.label == b.label && *a.data == *b.data; }
  void fields(auto&& field) const { field("label", label); }
};
Types infer(const Constant&, TypesView inputs);

/// A tensor with every element equal to `value`.
struct Fill {
  static constexpr std::string_view name = "fill";
  static constexpr bool differentiable = false;
  float value = 0;
  Type type;

  friend bool operator==(const Fill&, const Fill&) = default;
  void fields(auto&& field) const { field("value", value); }
};
Types infer(const Fill&, TypesView inputs);

}  // namespace ldmpi::ir
