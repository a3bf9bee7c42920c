#pragma once
// What the tests of graphs share: short names for types, and questions about the nodes of a graph.

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>

#include "ir/builder.h"

namespace ldmpi::ir::test {

inline Type f32(Shape shape) {
  return {DType::F32, shape};
}
inline Type f64(Shape shape) {
  return {DType::F64, shape};
}
inline Type i64(Shape shape) {
  return {DType::I64, shape};
}

/// Indices of the nodes whose op is an O.
template <typename O>
std::vector<int> find(const Graph& graph) {
  std::vector<int> result;
  for (std::size_t n = 0; n < graph.nodes().size(); ++n)
    if (std::holds_alternative<O>(graph.nodes()[n].op)) result.push_back(static_cast<int>(n));
  return result;
}
template <typename O>
std::size_t count(const Graph& graph) {
  return find<O>(graph).size();
}

/// Runs `action` and expects Error(Internal) whose message contains both parts.
inline void expect_refused(std::string_view op, std::string_view part, const std::function<void()>& action) {
  try {
    action();
    ADD_FAILURE() << op << " was accepted; expected a refusal with \"" << part << '"';
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::Internal) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(op), std::string_view::npos) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
  }
}

/// The loss of tests: the mean square distance of an image of the given shape to a target.
inline Value mean_square(const Builder& b, Value prediction) {
  const auto& shape = b.type(prediction).shape;
  return b.graph().add1(WeightedMse{}, {prediction, b.input("target", f32(shape)), b.input("weight", f32({shape[0]}))});
}

}  // namespace ldmpi::ir::test
