#include "exec/program_set.h"

#include "fixture.h"

namespace ldmpi::exec {
namespace {

using ir::test::f32;
using test::read;
using test::rising;
using test::write;

// y = 2 x + 2 x with two values alive at once.
ir::Graph doubling(std::int64_t rows) {
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto x = b.input("x", f32({rows, 16}));
  graph.output("y", b.add(b.scale(x, 2), b.scale(x, 3)));
  return graph;
}

std::int64_t bytes(const ProgramSet& set, ir::Arena arena) {
  return set.arena_bytes()[static_cast<std::size_t>(arena)];
}

TEST(ProgramSetTest, ArenasOfSeveralShapesAreAsLargeAsTheLargest) {
  const test::Machine machine;
  ProgramSet small(*machine.lowering, {});
  ProgramSet large(*machine.lowering, {});
  ProgramSet both(*machine.lowering, {});
  (void)small.add("small", doubling(4));
  (void)large.add("large", doubling(64));
  (void)both.add("small", doubling(4));
  (void)both.add("large", doubling(64));
  for (auto* set : {&small, &large, &both}) set->compile();
  for (auto arena : {ir::Arena::Activations, ir::Arena::Inputs}) {
    EXPECT_LT(bytes(small, arena), bytes(large, arena));
    EXPECT_EQ(bytes(both, arena), bytes(large, arena)) << name_of(arena);
  }
  EXPECT_EQ(bytes(both, ir::Arena::Inputs), 64 * 16 * 4);
  std::int64_t sum = 0;
  for (auto part : both.arena_bytes()) sum += part;
  EXPECT_EQ(both.total_bytes(), sum);
}

TEST(ProgramSetTest, ProgramsOfOneSetRunInAnyOrderInTheSameMemory) {
  test::Machine machine;
  ProgramSet set(*machine.lowering, {});
  const int small = set.add("small", doubling(4));
  const int large = set.add("large", doubling(64));
  set.compile();
  set.bind(*machine.device, *machine.communicator);
  for (const int program : {small, large, small}) {
    const auto count = static_cast<std::size_t>(set.input_type(program, "x").count());
    const auto x = rising(count, static_cast<float>(program));
    write(set, program, "x", x);
    (void)set.run(program);
    const auto y = read(set, program, "y");
    ASSERT_EQ(y.size(), count);
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(y[i], 5 * x[i]) << i;
  }
}

TEST(ProgramSetTest, InputsAndOutputsAreCheckedByNameAndSize) {
  test::Machine machine;
  ProgramSet set(*machine.lowering, {});
  (void)set.add("p", doubling(4));
  set.compile();
  set.bind(*machine.device, *machine.communicator);
  EXPECT_TRUE(set.has_input(0, "x"));
  EXPECT_FALSE(set.has_input(0, "y"));
  EXPECT_EQ(set.output_type(0, "y"), f32({4, 16}));
  std::vector<float> values(64);
  EXPECT_THROW(set.write_input(0, "x", values.data(), 4), Error);
  EXPECT_THROW(set.write_input(0, "z", values.data(), 256), Error);
  EXPECT_THROW(set.read_output(0, "y", values.data(), 4), Error);
  EXPECT_THROW(set.read_output(0, "x", values.data(), 256), Error);
  EXPECT_EQ(set.arena(ir::Arena::Weights), nullptr);
}

TEST(ProgramSetTest, ViewsAndConcatenationsInPlaceHoldTheRightElements) {
  test::Machine machine;
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto x = b.input("x", f32({3, 6}));
  const auto parts = b.split(b.scale(x, 10), {2, 4});
  const auto joined = b.concat({b.scale(parts[1], 2), b.scale(parts[0], 3), parts[1]});
  graph.output("joined", joined);
  graph.output("part", b.scale(parts[1], 1));
  ProgramSet set(*machine.lowering, {});
  (void)set.add("p", graph);
  set.compile();
  set.bind(*machine.device, *machine.communicator);
  const auto values = rising(18);
  write(set, 0, "x", values);
  (void)set.run(0);
  const auto y = read(set, 0, "joined");
  const auto part = read(set, 0, "part");
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t c = 0; c < 10; ++c) {
      const float expected = c < 4   ? 20 * values[r * 6 + 2 + c]
                             : c < 6 ? 30 * values[r * 6 + c - 4]
                                     : 10 * values[r * 6 + 2 + c - 6];
      EXPECT_EQ(y[r * 10 + c], expected) << r << ' ' << c;
    }
  for (std::size_t r = 0; r < 3; ++r)
    for (std::size_t c = 0; c < 4; ++c) EXPECT_EQ(part[r * 4 + c], 10 * values[r * 6 + 2 + c]);
}

TEST(ProgramSetTest, BoundValuesAreWrittenToTheirBlockAndNowhereElse) {
  test::Machine machine;
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto x = b.input("x", f32({4, 33}));
  graph.bind(b.sum_rows(x), {ir::Arena::Gradients, 1});
  const auto storage = test::storage({40, 33, 50});
  ProgramSet set(*machine.lowering, storage);
  (void)set.add("p", graph);
  set.compile();
  set.bind(*machine.device, *machine.communicator);
  EXPECT_EQ(bytes(set, ir::Arena::Gradients), storage.trainable * 4);
  auto* gradients = static_cast<float*>(set.arena(ir::Arena::Gradients));
  std::fill_n(gradients, storage.trainable, -7.0F);
  write(set, 0, "x", std::vector<float>(4 * 33, 0.5F));
  (void)set.run(0);
  const auto& block = storage.blocks[1];
  for (std::int64_t i = 0; i < storage.trainable; ++i)
    EXPECT_EQ(gradients[i], i >= block.begin && i < block.end ? 2.0F : -7.0F) << i;
}

TEST(ProgramSetTest, PersistentMemoryKeepsItsContentsBetweenRuns) {
  test::Machine machine;
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto x = b.input("x", f32({32}));
  const auto slot = b.persistent(ir::Arena::Gradients, 0, "slot", f32({32}));
  (void)graph.add(ir::Accumulate{}, {slot, x});
  ProgramSet set(*machine.lowering, test::storage({32}));
  (void)set.add("p", graph);
  set.compile();
  set.bind(*machine.device, *machine.communicator);
  const auto values = rising(32);
  write(set, 0, "x", values);
  for (int i = 0; i < 3; ++i) (void)set.run(0);
  const auto* gradients = static_cast<const float*>(set.arena(ir::Arena::Gradients));
  for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ(gradients[i], 3 * values[i]);
}

TEST(ProgramSetTest, WireBytesAreWhatTheCommunicatorCounts) {
  test::Machine machine;
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto arena = b.persistent(ir::Arena::Gradients, -1, "arena", f32({64}));
  const auto x = b.input("x", {DType::F64, {4}});
  int sequence = 0;
  auto collective = [&](ir::CollectiveKind kind, std::int64_t begin, std::int64_t end) {
    const auto token = graph.add1(ir::StartCollective{kind, begin, end, sequence}, {arena});
    (void)graph.add1(ir::WaitCollective{sequence++}, {token});
  };
  collective(ir::CollectiveKind::AllReduce, 0, 32);
  collective(ir::CollectiveKind::AllReduce, 32, 64);
  collective(ir::CollectiveKind::ReduceScatter, 0, 64);
  collective(ir::CollectiveKind::AllGather, 16, 64);
  graph.output("sum", graph.add1(ir::SumRanks{0}, {x}));
  ProgramSet set(*machine.lowering, test::storage({64}));
  const int program = set.add("p", graph);
  set.compile();
  set.bind(*machine.device, *machine.communicator);
  EXPECT_EQ(set.wire_bytes(program, ir::CollectiveKind::AllReduce), 64 * 4 + 4 * 8);
  const std::vector<double> values{1, 2, 3, 4};
  write(set, program, "x", values);
  for (std::uint64_t run = 1; run <= 2; ++run) {
    (void)set.run(program);
    for (const auto& [kind, counted] : {std::pair{ir::CollectiveKind::AllReduce, comm::Collective::AllReduce},
                                        std::pair{ir::CollectiveKind::ReduceScatter, comm::Collective::ReduceScatter},
                                        std::pair{ir::CollectiveKind::AllGather, comm::Collective::AllGather}})
      EXPECT_EQ(machine.communicator->traffic(counted).buffer_bytes,
                run * static_cast<std::uint64_t>(set.wire_bytes(program, kind)))
          << name_of(kind);
  }
  std::vector<double> sum(4);
  set.read_output(program, "sum", sum.data(), 32);
  EXPECT_EQ(sum, values) << "alone, the sum over the ranks is the value";
}

TEST(ProgramSetTest, SecondsAreCountedByPhase) {
  test::Machine machine;
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto x = b.input("x", f32({64, 256}));
  auto y = x;
  (void)graph.add(ir::Mark{ir::Phase::Forward}, {});
  for (int i = 0; i < 20; ++i) y = b.silu(y);
  (void)graph.add(ir::Mark{ir::Phase::Optimize}, {});
  graph.output("y", y);
  ProgramSet set(*machine.lowering, {});
  (void)set.add("p", graph);
  set.compile();
  set.bind(*machine.device, *machine.communicator);
  const auto seconds = set.run(0);
  EXPECT_GT(seconds[static_cast<std::size_t>(ir::Phase::Forward)], 0);
  EXPECT_EQ(seconds[static_cast<std::size_t>(ir::Phase::Backward)], 0);
  EXPECT_GT(seconds[static_cast<std::size_t>(ir::Phase::Forward)],
            seconds[static_cast<std::size_t>(ir::Phase::Optimize)]);
}

TEST(ProgramSetTest, ACollectiveThatIsStartedTwiceIsRefused) {
  test::Machine machine;
  ir::Graph graph;
  const ir::Builder b(graph);
  const auto arena = b.persistent(ir::Arena::Gradients, -1, "arena", f32({64}));
  for (int i = 0; i < 2; ++i) {
    const auto token = graph.add1(ir::StartCollective{ir::CollectiveKind::AllReduce, 0, 64, 0}, {arena});
    (void)graph.add1(ir::WaitCollective{0}, {token});
  }
  ProgramSet set(*machine.lowering, test::storage({64}));
  (void)set.add("p", graph);
  set.compile();
  EXPECT_THROW(set.bind(*machine.device, *machine.communicator), Error);
}

}  // namespace
}  // namespace ldmpi::exec
