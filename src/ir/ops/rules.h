#pragma once
// What op headers need to declare their rules: types, values, and the checks of shape rules.

#include <fmt/format.h>

#include <span>
#include <string_view>

#include "base/check.h"
#include "ir/type.h"
#include "ir/value.h"

namespace ldmpi::ir {

using TypesView = std::span<const Type>;

class GradientScope;

/// Throws Error(Internal) naming the op unless the number of inputs is in [low, high].
void expect_inputs(std::string_view op, TypesView inputs, std::size_t low, std::size_t high);

/// Throws Error(Internal) naming the op and the shapes unless `condition` holds.
void expect(bool condition, std::string_view op, TypesView inputs, std::string_view rule);

/// Type of a token: an output without elements that only orders nodes.
[[nodiscard]] inline Type token() {
  return {DType::U8, {0}};
}

}  // namespace ldmpi::ir
