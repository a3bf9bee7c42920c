#include "plan/verify.h"

#include "../ir/fixture.h"
#include "backend/cpu/cpu_backend.h"
#include "ir/passes/rewrite.h"
#include "step_programs.h"

namespace ldmpi::plan {
namespace {

using ir::Value;
using ir::test::f32;

// a = silu(x), b = scale(a), c = add(a, b), the output c; planned with nothing shared.
struct Net {
  ir::Graph graph;
  ir::Builder build{graph};
  Value x = build.input("x", f32({4, 64}));
  Value a = build.silu(x);
  Value b = build.scale(a, 2);
  Value c = build.add(a, b);
  PlanInputs inputs;
  Plan plan;

  Net() {
    graph.output("c", c);
    inputs.facts.resize(graph.nodes().size());
    inputs.facts[static_cast<std::size_t>(graph.producer(b))].workspace_bytes = 256;
    inputs.source_place = [](const ir::Node&) { return Place{ir::Arena::Inputs, 0, 0}; };
    plan = make_plan(graph, inputs);
  }
  Place& place(Value v) { return plan.places[static_cast<std::size_t>(v.id)]; }
  [[nodiscard]] std::string faults() const {
    std::string text;
    for (const auto& fault : verify(graph, plan, inputs)) text += fault + "\n";
    return text;
  }
};

void expect_fault(const Net& net, std::string_view part) {
  EXPECT_NE(net.faults().find(part), std::string::npos) << "\"" << part << "\" is not among:\n" << net.faults();
}

TEST(Verify, ASoundPlanHasNoFaults) {
  EXPECT_EQ(Net().faults(), "");
}

TEST(Verify, FindsSlicesThatOverlap) {
  Net net;
  for (auto& slice : net.plan.slices) slice.offset = 0;
  expect_fault(net, "alive together in the same bytes");
}

TEST(Verify, FindsASliceThatLeavesTheArena) {
  Net net;
  net.plan.slices.front().offset = net.plan.activation_bytes;
  expect_fault(net, "leaves the activation arena");
}

TEST(Verify, FindsAValueOverwrittenBeforeItsLastReadWhateverTheSlicesSay) {
  Net net;
  net.place(net.b).offset = net.place(net.a).offset + 64;
  expect_fault(net, "overwrites value 1 before node 3 reads it");
}

TEST(Verify, FindsAResultWrittenOverAnInputThatTheKernelMayNotOverwrite) {
  Net net;
  net.place(net.c) = net.place(net.a);
  expect_fault(net, "writes value 3 over its input 1");
  net.inputs.facts[static_cast<std::size_t>(net.graph.producer(net.c))].overwrites_first = true;
  EXPECT_EQ(net.faults(), "") << "input 0 dies here: the kernel may have it";
  net.place(net.c) = net.place(net.b);
  expect_fault(net, "writes value 3 over its input 2");
}

TEST(Verify, FindsAValueOutsideTheArena) {
  Net net;
  net.place(net.c).offset = net.plan.activation_bytes - 64;
  expect_fault(net, "outside the activation arena");
}

TEST(Verify, FindsAWorkspaceOverALivingValueOrNone) {
  Net net;
  const auto n = static_cast<std::size_t>(net.graph.producer(net.b));
  const auto right = net.plan.workspace[n];
  net.plan.workspace[n] = net.place(net.a).offset;
  expect_fault(net, "has its workspace over value 1");
  net.plan.workspace[n] = -1;
  expect_fault(net, "has no workspace");
  net.plan.workspace[n] = right;
  EXPECT_EQ(net.faults(), "");
}

TEST(Verify, FindsAViewOfOtherBytesAndAViewThatIsOverwritten) {
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto whole = b.silu(b.input("x", f32({4, 64})));
  const auto parts = b.split(whole, {16, 48});
  const auto later = b.scale(b.input("y", f32({4, 64})), 2);
  graph.output("later", later);
  graph.output("part", b.scale(parts[1], 3));
  PlanInputs inputs;
  inputs.facts.resize(graph.nodes().size());
  inputs.facts.back().pitched_inputs = true;
  inputs.source_place = [](const ir::Node&) { return Place{ir::Arena::Inputs, 0, 0}; };
  const auto plan = make_plan(graph, inputs);
  ASSERT_TRUE(verify(graph, plan, inputs).empty());
  auto elsewhere = plan;
  elsewhere.places[static_cast<std::size_t>(parts[1].id)].offset += 4;
  EXPECT_FALSE(verify(graph, elsewhere, inputs).empty());
  auto over = plan;
  over.places[static_cast<std::size_t>(later.id)] = plan.places[static_cast<std::size_t>(whole.id)];
  EXPECT_FALSE(verify(graph, over, inputs).empty());
}

TEST(Verify, ColumnsSideBySideAreApart) {
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto x = b.input("x", f32({4, 16}));
  const auto left = b.silu(x);
  const auto right = b.scale(x, 2);
  const auto whole = b.concat({left, right});
  graph.output("y", whole);
  PlanInputs inputs;
  inputs.facts.assign(graph.nodes().size(), {0, true, true, false});
  inputs.source_place = [](const ir::Node&) { return Place{ir::Arena::Inputs, 0, 0}; };
  auto plan = make_plan(graph, inputs);
  ASSERT_EQ(plan.places[static_cast<std::size_t>(right.id)].pitch, 32);
  EXPECT_TRUE(verify(graph, plan, inputs).empty());
  auto& place = plan.places[static_cast<std::size_t>(right.id)];
  place.offset -= 4;  // one column into the left part
  EXPECT_FALSE(verify(graph, plan, inputs).empty());
}

// The graph without the wait of one collective; what waited for it now reads the token of the start.
ir::Graph drop_wait(const ir::Graph& graph, int sequence) {
  ir::Rewriter rewriter(graph);
  for (const auto& node : graph.nodes()) {
    const auto* wait = std::get_if<ir::WaitCollective>(&node.op);
    if (wait != nullptr && wait->sequence == sequence)
      rewriter.set(node.outputs[0], rewriter.map(node.inputs[0]));
    else
      rewriter.copy(node);
  }
  return std::move(rewriter).finish();
}

void expect_unsafe(const test::StepProgram& step, const ir::Graph& graph, std::string_view part) {
  try {
    (void)step.compile(graph);
    ADD_FAILURE() << "the plan was accepted; expected \"" << part << '"';
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Exit::Internal);
    EXPECT_NE(std::string_view(error.what()).find("is not safe"), std::string_view::npos) << error.what();
    EXPECT_NE(std::string_view(error.what()).find(part), std::string_view::npos) << error.what();
  }
}

TEST(Verify, FindsEveryDroppedWaitOfAStep) {
  const auto lowering = backend::make_cpu_lowering(1);
  for (const int shards : {1, 2}) {
    const test::StepProgram step(test::tiny_unet(), *lowering, {.ranks = 2, .shards = shards});
    std::vector<int> waits;
    for (const auto& node : step.graph().nodes())
      if (const auto* wait = std::get_if<ir::WaitCollective>(&node.op)) waits.push_back(wait->sequence);
    ASSERT_GE(waits.size(), 2U);
    EXPECT_NO_THROW((void)step.compile(step.graph()));
    for (int sequence : {waits.front(), waits.back()}) {
      SCOPED_TRACE(fmt::format("{} shards, wait {}", shards, sequence));
      // Gradients are read in flight; the last gather of the sharded step is read by nobody, but never ends.
      expect_unsafe(step, drop_wait(step.graph(), sequence),
                    shards == 2 && sequence == waits.back()
                        ? fmt::format("collective {} is never waited for", sequence)
                        : fmt::format("memory of collective {} in flight", sequence));
    }
  }
}

TEST(Verify, FindsAGradientWrittenWhileItsBucketIsInFlight) {
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto x = b.input("x", f32({64}));
  const auto arena = b.persistent(ir::Arena::Gradients, -1, "arena", f32({64}));
  const auto token = graph.add1(ir::StartCollective{ir::CollectiveKind::AllReduce, 0, 64, 0}, {arena});
  graph.bind(b.scale(x, 2), {ir::Arena::Gradients, 0});
  (void)graph.add1(ir::WaitCollective{0}, {token});
  PlanInputs inputs;
  inputs.facts.resize(graph.nodes().size());
  inputs.source_place = [](const ir::Node& node) {
    return Place{std::holds_alternative<ir::Input>(node.op) ? ir::Arena::Inputs : ir::Arena::Gradients, 0, 0};
  };
  inputs.bound_place = [](const ir::Binding& binding) { return Place{binding.arena, 0, 0}; };
  const auto faults = verify(graph, make_plan(graph, inputs), inputs);
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_NE(faults[0].find("touches memory of collective 0 in flight"), std::string::npos) << faults[0];
}

}  // namespace
}  // namespace ldmpi::plan
