#pragma once
// Element by element: activations, sums, casts.

#include "ir/ops/rules.h"

namespace ldmpi::ir {

enum class UnaryFn : std::uint8_t { Silu, Gelu };
[[nodiscard]] std::string_view name_of(UnaryFn fn) noexcept;

/// y = fn(x). Silu: x * sigmoid(x). Gelu: the exact form x * Phi(x).
struct Unary {
  static constexpr std::string_view name = "unary";
  UnaryFn fn = UnaryFn::Silu;

  friend bool operator==(const Unary&, const Unary&) = default;
  void fields(auto&& field) const { field("fn", name_of(fn)); }
};
Types infer(const Unary&, TypesView inputs);
Values gradient(const Unary&, GradientScope&);

/// dx = dy * fn'(x). Inputs: dy, x.
struct UnaryGrad {
  static constexpr std::string_view name = "unary_grad";
  static constexpr bool differentiable = false;
  UnaryFn fn = UnaryFn::Silu;

  friend bool operator==(const UnaryGrad&, const UnaryGrad&) = default;
  void fields(auto&& field) const { field("fn", name_of(fn)); }
};
Types infer(const UnaryGrad&, TypesView inputs);

/// y = a + b, equal types.
struct Add {
  static constexpr std::string_view name = "add";
  friend bool operator==(const Add&, const Add&) = default;
  void fields(auto&&) const {}
};
Types infer(const Add&, TypesView inputs);
Values gradient(const Add&, GradientScope&);

/// y = factor * x.
struct Scale {
  static constexpr std::string_view name = "scale";
  float factor = 1;
  friend bool operator==(const Scale&, const Scale&) = default;
  void fields(auto&& field) const { field("factor", factor); }
};
Types infer(const Scale&, TypesView inputs);
Values gradient(const Scale&, GradientScope&);

/// y = x in another element type (or a plain copy); rounds to nearest even.
struct Cast {
  static constexpr std::string_view name = "cast";
  DType dtype = DType::F32;
  friend bool operator==(const Cast&, const Cast&) = default;
  void fields(auto&& field) const { field("dtype", ldmpi::name_of(dtype)); }
};
Types infer(const Cast&, TypesView inputs);
Values gradient(const Cast&, GradientScope&);

/// y[rows, F] = x[:, :F] * gelu(x[:, F:]), the exact (erf) gelu; value half first, gate half second.
struct Geglu {
  static constexpr std::string_view name = "geglu";
  friend bool operator==(const Geglu&, const Geglu&) = default;
  void fields(auto&&) const {}
};
Types infer(const Geglu&, TypesView inputs);
Values gradient(const Geglu&, GradientScope&);

/// dx[rows, 2F]. Inputs: dy [rows, F], x [rows, 2F].
struct GegluGrad {
  static constexpr std::string_view name = "geglu_grad";
  static constexpr bool differentiable = false;
  friend bool operator==(const GegluGrad&, const GegluGrad&) = default;
  void fields(auto&&) const {}
};
Types infer(const GegluGrad&, TypesView inputs);

/// y[n,c,h,w] = x[n,c,h,w] + t[n,c]. Inputs: x [N,C,H,W], t [N,C].
struct AddChannels {
  static constexpr std::string_view name = "add_channels";
  friend bool operator==(const AddChannels&, const AddChannels&) = default;
  void fields(auto&&) const {}
};
Types infer(const AddChannels&, TypesView inputs);
Values gradient(const AddChannels&, GradientScope&);

/// y[n,c] = sum over h,w of x[n,c,h,w].
struct SumPixels {
  static constexpr std::string_view name = "sum_pixels";
  static constexpr bool differentiable = false;
  friend bool operator==(const SumPixels&, const SumPixels&) = default;
  void fields(auto&&) const {}
};
Types infer(const SumPixels&, TypesView inputs);

/// y[c] = sum over all rows of x; the gradient of a bias. x is any image or token matrix.
struct SumRows {
  static constexpr std::string_view name = "sum_rows";
  static constexpr bool differentiable = false;
  friend bool operator==(const SumRows&, const SumRows&) = default;
  void fields(auto&&) const {}
};
Types infer(const SumRows&, TypesView inputs);

}  // namespace ldmpi::ir
