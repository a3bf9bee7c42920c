#pragma once
// The diffusion process as ops: random draws, noising, caption dropout, time features, the loss.
// Every draw is keyed by (seed, purpose, draw index of the sample): base/rng.h. `draws` is i64 [N].

#include "base/rng.h"
#include "ir/ops/rules.h"

namespace ldmpi::ir {

/// t[n] = floor(steps * u), one draw per sample. Input: draws. Output: i64 [N].
struct RandomTimesteps {
  static constexpr std::string_view name = "random_timesteps";
  static constexpr bool differentiable = false;
  std::uint64_t seed = 0;
  std::int64_t steps = 1000;

  friend bool operator==(const RandomTimesteps&, const RandomTimesteps&) = default;
  void fields(auto&& field) const {
    field("seed", seed);
    field("steps", steps);
  }
};
Types infer(const RandomTimesteps&, TypesView inputs);

/// Standard normal numbers, element i of a sample counted in canonical [C,H,W] order. Input: draws.
/// Output: f32 [N,C,H,W] (or [N,C] for one number per channel).
struct RandomNormal {
  static constexpr std::string_view name = "random_normal";
  static constexpr bool differentiable = false;
  std::uint64_t seed = 0;
  Purpose purpose = Purpose::Noise;
  Shape shape;

  friend bool operator==(const RandomNormal&, const RandomNormal&) = default;
  void fields(auto&& field) const {
    field("seed", seed);
    field("purpose", static_cast<int>(purpose));
    field("shape", shape.text());
  }
};
Types infer(const RandomNormal&, TypesView inputs);

/// y[n] = table[t[n]]. Inputs: table f32 [T], t i64 [N]. Output: f32 [N].
struct Lookup {
  static constexpr std::string_view name = "lookup";
  static constexpr bool differentiable = false;
  friend bool operator==(const Lookup&, const Lookup&) = default;
  void fields(auto&&) const {}
};
Types infer(const Lookup&, TypesView inputs);

/// y = a[n] * x + b[n] * e, per sample. Inputs: a [N], x [N,C,H,W], b [N], e like x, all f32. Output: `dtype`.
struct Blend {
  static constexpr std::string_view name = "blend";
  static constexpr bool differentiable = false;
  DType dtype = DType::F32;

  friend bool operator==(const Blend&, const Blend&) = default;
  void fields(auto&& field) const { field("dtype", ldmpi::name_of(dtype)); }
};
Types infer(const Blend&, TypesView inputs);

/// y = x + s * e: a posterior sample. Inputs: x, s, e, equal f32 types.
struct MulAdd {
  static constexpr std::string_view name = "mul_add";
  static constexpr bool differentiable = false;
  friend bool operator==(const MulAdd&, const MulAdd&) = default;
  void fields(auto&&) const {}
};
Types infer(const MulAdd&, TypesView inputs);

/// Replaces whole samples: y's rows of sample n are `empty` where u(n) < probability, else x's. Samples with
/// equal draws are dropped together. Inputs: draws [N], x [N*T,D], empty [T,D]. Output: like x in `dtype`.
struct DropCaption {
  static constexpr std::string_view name = "drop_caption";
  static constexpr bool differentiable = false;
  std::uint64_t seed = 0;
  float probability = 0;
  DType dtype = DType::F32;

  friend bool operator==(const DropCaption&, const DropCaption&) = default;
  void fields(auto&& field) const {
    field("seed", seed);
    field("probability", probability);
  }
};
Types infer(const DropCaption&, TypesView inputs);

/// Sinusoids of numbers: for half = dim/2, f_i = exp(-ln(10000) * i / (half - shift)), columns
/// [cos(t f) | sin(t f)] when `cos_first`, else [sin | cos]. Input: t i64 or f32 [N] or [N,k].
/// Output: [N, k*dim] of `dtype`.
struct Sinusoid {
  static constexpr std::string_view name = "sinusoid";
  static constexpr bool differentiable = false;
  std::int64_t dim = 320;
  bool cos_first = true;
  float shift = 0;
  DType dtype = DType::F32;

  friend bool operator==(const Sinusoid&, const Sinusoid&) = default;
  void fields(auto&& field) const {
    field("dim", dim);
    field("cos_first", cos_first);
    field("shift", shift);
  }
};
Types infer(const Sinusoid&, TypesView inputs);

/// loss = 1/count * sum over n of weight[n] * |prediction[n] - target[n]|^2, count = all elements.
/// Inputs: prediction [N,C,H,W] (any float type), target f32 like it, weight f32 [N]. Output: f32 [1].
struct WeightedMse {
  static constexpr std::string_view name = "weighted_mse";
  friend bool operator==(const WeightedMse&, const WeightedMse&) = default;
  void fields(auto&&) const {}
};
Types infer(const WeightedMse&, TypesView inputs);
Values gradient(const WeightedMse&, GradientScope&);

/// dprediction = dloss * 2/count * weight[n] * (prediction - target). Inputs: dloss f32 [1], prediction, target,
/// weight.
struct WeightedMseGrad {
  static constexpr std::string_view name = "weighted_mse_grad";
  static constexpr bool differentiable = false;
  friend bool operator==(const WeightedMseGrad&, const WeightedMseGrad&) = default;
  void fields(auto&&) const {}
};
Types infer(const WeightedMseGrad&, TypesView inputs);

}  // namespace ldmpi::ir
