#include "ir/op.h"

#include <string>

namespace ldmpi::ir {

// Forgetting a gradient is a compile error: an op says `differentiable = false` or has a rule.
template <typename O>
concept HasGradientRule = NotDifferentiable<O> || requires(const O& op, GradientScope& scope) {
  { gradient(op, scope) } -> std::same_as<Values>;
};
template <typename... Ops>
constexpr bool all_have_gradient_rules(std::variant<Ops...>*) {
  return (HasGradientRule<Ops> && ...);
}
static_assert(all_have_gradient_rules(static_cast<Op*>(nullptr)),
              "every op needs `Values gradient(const TheOp&, GradientScope&)` or `differentiable = false`");

bool is_source(const Op& op) {
  return std::holds_alternative<Input>(op) || std::holds_alternative<Persistent>(op) ||
         std::holds_alternative<Constant>(op);
}

std::string_view name_of(const Op& op) {
  return std::visit([](const auto& o) { return o.name; }, op);
}

bool needs_kernel(const Op& op) {
  return std::visit([](const auto& o) { return !WithoutKernel<std::decay_t<decltype(o)>>; }, op);
}

std::vector<int> writes_of(const Op& op) {
  return std::visit(
      [](const auto& o) -> std::vector<int> {
        if constexpr (WritesInPlace<std::decay_t<decltype(o)>>)
          return o.writes();
        else
          return {};
      },
      op);
}

std::string attributes_of(const Op& op) {
  std::string text;
  std::visit(
      [&](const auto& o) {
        o.fields([&](std::string_view name, const auto& value) {
          text += fmt::format("{}{}={}", text.empty() ? "{" : ", ", name, value);
        });
      },
      op);
  if (!text.empty()) text += "}";
  return text;
}

void expect_inputs(std::string_view op, TypesView inputs, std::size_t low, std::size_t high) {
  LDMPI_CHECK(inputs.size() >= low && inputs.size() <= high, "{} takes {} to {} inputs, not {}", op, low, high,
              inputs.size());
}

void expect(bool condition, std::string_view op, TypesView inputs, std::string_view rule) {
  if (condition) return;
  std::string types;
  for (const auto& type : inputs) types += (types.empty() ? "" : ", ") + type.text();
  LDMPI_CHECK(condition, "{} needs {}; given ({})", op, rule, types);
}

}  // namespace ldmpi::ir
