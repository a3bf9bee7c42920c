#include "plan/alias.h"

#include "../ir/fixture.h"

namespace ldmpi::plan {
namespace {

using ir::Value;
using ir::test::f32;

// A graph and what its nodes' kernels can do; nothing unless said.
struct Net {
  ir::Graph graph;
  ir::Builder b{graph};
  std::vector<NodeFacts> facts;

  Value input(std::int64_t columns) const {
    return b.input("x" + std::to_string(graph.nodes().size()), f32({4, columns}));
  }
  NodeFacts& at(Value v) {
    facts.resize(graph.nodes().size());
    return facts[static_cast<std::size_t>(graph.producer(v))];
  }
  std::vector<Alias> find() {
    facts.resize(graph.nodes().size());
    return find_aliases(graph, facts);
  }
};

void expect_alias(const std::vector<Alias>& aliases, Value value, Value root, std::int64_t column) {
  const auto& alias = aliases[static_cast<std::size_t>(value.id)];
  EXPECT_EQ(alias.root, root) << "%" << value.id;
  EXPECT_EQ(alias.column, column) << "%" << value.id;
}

TEST(Aliases, ViewsLieInTheirSource) {
  Net net;
  const auto y = net.b.silu(net.input(12));
  const auto parts = net.b.split(net.b.reshape(y, {2, 24}), {10, 14});
  const auto inner = net.b.split(parts[1], {4, 10});
  const auto aliases = net.find();
  expect_alias(aliases, y, y, 0);
  expect_alias(aliases, parts[0], y, 0);
  expect_alias(aliases, parts[1], y, 10);
  expect_alias(aliases, inner[1], y, 14);
}

// concat(silu(x), silu(y)), and a reader of the first part.
struct ConcatNet : Net {
  Value left = b.silu(input(3));
  Value right = b.silu(input(5));
  Value whole = b.concat({left, right});
  Value reader = b.scale(left, 2);
  ConcatNet() {
    for (auto v : {left, right}) at(v).pitched_outputs = true;
    at(whole).pitched_inputs = true;
    at(reader).pitched_inputs = true;
  }
};

TEST(Aliases, PartsAreWrittenIntoPlaceWhereProducerAndReadersAcceptAPitch) {
  ConcatNet net;
  const auto aliases = net.find();
  expect_alias(aliases, net.left, net.whole, 0);
  expect_alias(aliases, net.right, net.whole, 3);
}

TEST(Aliases, APartStaysApartIfItsProducerCannotWriteRowsWithGaps) {
  ConcatNet net;
  net.at(net.left).pitched_outputs = false;
  const auto aliases = net.find();
  expect_alias(aliases, net.left, net.left, 0);
  expect_alias(aliases, net.right, net.whole, 3);
}

TEST(Aliases, APartStaysApartIfAReaderCannotReadRowsWithGaps) {
  ConcatNet net;
  net.at(net.reader).pitched_inputs = false;
  const auto aliases = net.find();
  expect_alias(aliases, net.left, net.left, 0);
  expect_alias(aliases, net.right, net.whole, 3);
}

TEST(Aliases, APartStaysApartIfItIsAnOutputOrBoundOrASource) {
  ConcatNet named;
  named.graph.output("left", named.left);
  expect_alias(named.find(), named.left, named.left, 0);
  ConcatNet bound;
  bound.graph.bind(bound.left, {ir::Arena::Gradients, 0});
  expect_alias(bound.find(), bound.left, bound.left, 0);
  Net source;
  const auto x = source.input(3);
  const auto whole = source.b.concat({x, source.input(2)});
  source.at(x).pitched_outputs = true;
  source.at(whole).pitched_inputs = true;
  expect_alias(source.find(), x, x, 0);
}

TEST(Aliases, AValueThatIsTwoPartsIsInPlaceOnce) {
  Net net;
  const auto x = net.b.silu(net.input(3));
  const auto whole = net.b.concat({x, x});
  net.at(x).pitched_outputs = true;
  net.at(whole).pitched_inputs = true;
  expect_alias(net.find(), x, whole, 0);
}

TEST(Aliases, AViewWithOtherColumnsNeedsDenseRows) {
  Net net;
  const auto x = net.b.silu(net.input(4));
  const auto whole = net.b.concat({x, net.input(2)});
  const auto other = net.b.scale(net.b.reshape(x, {2, 8}), 2);
  net.at(x).pitched_outputs = true;
  net.at(whole).pitched_inputs = true;
  net.at(other).pitched_inputs = true;
  expect_alias(net.find(), x, x, 0);
}

// scale(silu(x)), the scale willing to overwrite.
struct OverwriteNet : Net {
  Value x = b.silu(input(4));
  Value y = b.scale(x, 2);
  OverwriteNet() { at(y).overwrites_first = true; }
};

TEST(Aliases, ADyingInputIsOverwritten) {
  OverwriteNet net;
  expect_alias(net.find(), net.y, net.x, 0);
}

TEST(Aliases, OnlyWhereTheKernelMay) {
  OverwriteNet net;
  net.at(net.y).overwrites_first = false;
  expect_alias(net.find(), net.y, net.y, 0);
}

TEST(Aliases, AnInputThatLivesOnIsNotOverwritten) {
  OverwriteNet read;
  (void)read.b.silu(read.x);
  expect_alias(read.find(), read.y, read.y, 0);
  OverwriteNet named;
  named.graph.output("x", named.x);
  expect_alias(named.find(), named.y, named.y, 0);
  OverwriteNet bound;
  bound.graph.bind(bound.x, {ir::Arena::Gradients, 0});
  expect_alias(bound.find(), bound.y, bound.y, 0);
  Net viewed;
  const auto x = viewed.b.silu(viewed.input(4));
  const auto view = viewed.b.reshape(x, {2, 8});
  const auto y = viewed.b.scale(x, 2);
  (void)viewed.b.silu(view);
  viewed.at(y).overwrites_first = true;
  expect_alias(viewed.find(), y, y, 0);
}

TEST(Aliases, NeitherSourcesNorASecondOperandNorOtherTypesAreOverwritten) {
  Net source;
  const auto y = source.b.scale(source.input(4), 2);
  source.at(y).overwrites_first = true;
  expect_alias(source.find(), y, y, 0);
  Net twice;
  const auto x = twice.b.silu(twice.input(4));
  const auto sum = twice.b.add(x, x);
  twice.at(sum).overwrites_first = true;
  expect_alias(twice.find(), sum, sum, 0);
  Net cast;
  const auto z = cast.b.silu(cast.input(4));
  const auto half = cast.b.cast(z, DType::BF16);
  cast.at(half).overwrites_first = true;
  expect_alias(cast.find(), half, half, 0);
}

}  // namespace
}  // namespace ldmpi::plan
