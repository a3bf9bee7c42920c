#pragma once
// Ops that move or rename bytes: views, channel concatenation, resizing, canonical order at the borders.

#include <vector>

#include "ir/ops/rules.h"

namespace ldmpi::ir {

/// The same bytes under another shape; rows and columns stay equal. Never a kernel: an alias.
struct Reshape {
  static constexpr std::string_view name = "reshape";
  static constexpr bool has_kernel = false;
  Shape shape;

  friend bool operator==(const Reshape&, const Reshape&) = default;
  void fields(auto&& field) const { field("shape", shape.text()); }
};
Types infer(const Reshape&, TypesView inputs);
Values gradient(const Reshape&, GradientScope&);

/// Column slices of x, one output per size; sizes sum to the columns. Never a kernel: aliases with x's pitch.
struct Split {
  static constexpr std::string_view name = "split";
  static constexpr bool has_kernel = false;
  std::vector<std::int64_t> sizes;

  friend bool operator==(const Split&, const Split&) = default;
  void fields(auto&& field) const {
    for (auto size : sizes) field("size", size);
  }
};
Types infer(const Split&, TypesView inputs);
Values gradient(const Split&, GradientScope&);

/// Columns (channels) of all inputs side by side. The planner lets inputs be written into place where their
/// producers accept a pitch; the kernel copies only the others.
struct Concat {
  static constexpr std::string_view name = "concat";
  friend bool operator==(const Concat&, const Concat&) = default;
  void fields(auto&&) const {}
};
Types infer(const Concat&, TypesView inputs);
Values gradient(const Concat&, GradientScope&);

/// Nearest-neighbour resize of [N,C,H,W] to [N,C,height,width]: y[i,j] = x[floor(i*H/height), floor(j*W/width)].
struct Upsample {
  static constexpr std::string_view name = "upsample";
  std::int64_t height = 0;
  std::int64_t width = 0;

  friend bool operator==(const Upsample&, const Upsample&) = default;
  void fields(auto&& field) const {
    field("height", height);
    field("width", width);
  }
};
Types infer(const Upsample&, TypesView inputs);
Values gradient(const Upsample&, GradientScope&);

/// dx[h,w] = sum of dy over the pixels that read (h,w). Input: dy. Output: [N,C,height,width].
struct UpsampleGrad {
  static constexpr std::string_view name = "upsample_grad";
  static constexpr bool differentiable = false;
  std::int64_t height = 0;  ///< of x
  std::int64_t width = 0;

  friend bool operator==(const UpsampleGrad&, const UpsampleGrad&) = default;
  void fields(auto&& field) const {
    field("height", height);
    field("width", width);
  }
};
Types infer(const UpsampleGrad&, TypesView inputs);

/// Canonical order to image: x f32 [N*C, H*W] (row-major N,C,H,W) -> [N,C,H,W] channels-last of `dtype`.
struct FromCanonical {
  static constexpr std::string_view name = "from_canonical";
  static constexpr bool differentiable = true;
  Shape shape;  ///< [N,C,H,W]
  DType dtype = DType::F32;

  friend bool operator==(const FromCanonical&, const FromCanonical&) = default;
  void fields(auto&& field) const { field("shape", shape.text()); }
};
Types infer(const FromCanonical&, TypesView inputs);
Values gradient(const FromCanonical&, GradientScope&);

/// Image to canonical order: [N,C,H,W] -> f32 [N*C, H*W].
struct ToCanonical {
  static constexpr std::string_view name = "to_canonical";
  static constexpr bool differentiable = false;
  friend bool operator==(const ToCanonical&, const ToCanonical&) = default;
  void fields(auto&&) const {}
};
Types infer(const ToCanonical&, TypesView inputs);

}  // namespace ldmpi::ir
