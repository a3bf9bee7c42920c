#include "plan/cost.h"

namespace ldmpi::plan {
namespace {

// Operations of the ops that figures of speed count; 0 for all others.
std::int64_t product_flops(const ir::Graph& graph, const ir::Node& node) {
  auto type = [&](std::size_t i) -> const ir::Type& { return graph.type(node.inputs[i]); };
  if (std::holds_alternative<ir::MatMul>(node.op)) {
    const auto& y = graph.type(node.outputs[0]);
    return 2 * y.count() * (type(0).count() / y.rows());
  }
  auto attention = [](const ir::Attention& op, const ir::Type& q, const ir::Type& k) {
    return 2 * op.batch * (q.rows() / op.batch) * (k.rows() / op.batch) * q.columns();  // one product
  };
  if (const auto* op = std::get_if<ir::Attention>(&node.op)) return 2 * attention(*op, type(0), type(1));
  if (const auto* op = std::get_if<ir::AttentionGrad>(&node.op)) return 5 * attention(op->forward, type(1), type(2));
  auto convolution = [](const Shape& y, const Shape& w) { return 2 * y.count() * w[1] * w[2] * w[3]; };
  if (std::holds_alternative<ir::Conv2d>(node.op)) return convolution(graph.type(node.outputs[0]).shape, type(1).shape);
  if (std::holds_alternative<ir::Conv2dInputGrad>(node.op)) return convolution(type(0).shape, type(1).shape);
  if (std::holds_alternative<ir::Conv2dWeightGrad>(node.op))
    return convolution(type(0).shape, graph.type(node.outputs[0]).shape);
  return 0;
}

}  // namespace

std::int64_t node_flops(const ir::Graph& graph, const ir::Node& node) {
  if (const auto flops = product_flops(graph, node); flops > 0) return flops;
  std::int64_t elements = 0;
  for (auto input : node.inputs) elements += graph.type(input).count();
  return elements;
}

std::int64_t graph_flops(const ir::Graph& graph, ir::Phase phase) {
  std::int64_t sum = 0;
  for (const auto& node : graph.nodes())
    if (node.phase == phase) sum += product_flops(graph, node);
  return sum;
}

}  // namespace ldmpi::plan
