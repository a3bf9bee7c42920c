// Counts what is taken from the heap while kernels run. The backend takes nothing; oneDNN takes the argument lists of
// its calls and gives them back before a call returns.
#include <gtest/gtest.h>
#include <omp.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "run_node.h"

namespace {

std::atomic<bool> counting = false;
std::atomic<std::int64_t> live_calls = 0;
std::atomic<std::int64_t> total_calls = 0;
std::atomic<std::int64_t> total_bytes = 0;

void count(std::size_t bytes) {
  if (!counting.load(std::memory_order_relaxed)) return;
  ++live_calls;
  ++total_calls;
  total_bytes += static_cast<std::int64_t>(bytes);
}

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t bytes) {
  count(bytes);
  return __libc_malloc(bytes);
}
int posix_memalign(void** result, std::size_t alignment, std::size_t bytes) {
  count(bytes);
  *result = __libc_memalign(alignment, bytes);
  return *result == nullptr ? 12 : 0;
}
void free(void* pointer) {
  if (pointer != nullptr && counting.load(std::memory_order_relaxed)) --live_calls;
  __libc_free(pointer);
}
}

namespace ldmpi::test {
namespace {

struct Counted {
  std::int64_t calls, bytes, kept;  ///< of one run
  std::int64_t page_faults;         ///< of ten runs
};

std::int64_t page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

/// After two runs to warm up.
Counted count_run(const ir::Op& op, const backend::NodeTypes& types) {
  const auto [kernel, bytes] = prepare(op, types);
  const auto device = backend::make_cpu_device(2);
  const auto workspace = device->allocate(bytes);
  std::vector<std::vector<float>> inputs;
  std::vector<const void*> in;
  for (const auto& type : types.inputs) inputs.push_back(random_floats(stored_elements(type), 1));
  for (const auto& input : inputs) in.push_back(input.data());
  std::vector<float> output(static_cast<std::size_t>(stored_elements(types.outputs[0])));
  void* out = output.data();
  const backend::KernelArgs args{.inputs = in, .outputs = {&out, 1}, .workspace = workspace->data()};
  kernel->run(args);
  kernel->run(args);
  live_calls = total_calls = total_bytes = 0;
  counting = true;
  kernel->run(args);
  counting = false;
  const auto before = page_faults();
  for (int i = 0; i < 10; ++i) kernel->run(args);
  return {total_calls, total_bytes, live_calls, page_faults() - before};
}

TEST(Allocation, ConvolutionsTakeOnlyArgumentListsOfOneDnn) {
  const ir::Conv2d op;
  const auto x = image({2, 64, 16, 16});
  const auto w = weight({64, 64, 3, 3});
  for (const auto& [node, types] :
       std::vector<std::pair<ir::Op, backend::NodeTypes>>{{op, {{x, w, {DType::F32, Shape{64}}}, {x}}},
                                                          {ir::Conv2dInputGrad{op, 16, 16}, {{x, w}, {x}}},
                                                          {ir::Conv2dWeightGrad{op, 3}, {{x, x}, {w}}}}) {
    const auto [calls, bytes, kept, faults] = count_run(node, types);
    RecordProperty(std::string(ir::name_of(node)), fmt::format("{} calls, {} bytes", calls, bytes));
    EXPECT_EQ(kept, 0);
    EXPECT_LT(faults, 20);  // of ten runs: one mapping of a buffer would cause more; reclaim causes strays
    EXPECT_LT(bytes, 4096);
  }
}

TEST(Allocation, ProductsTakeNothing) {
  for (const ir::MatMul& op : {ir::MatMul{}, ir::MatMul{.transpose_b = true}, ir::MatMul{.transpose_a = true}}) {
    const auto square = matrix(640, 640);
    const auto [calls, bytes, kept, faults] = count_run(op, {{square, square}, {square}});
    EXPECT_EQ(calls, 0) << bytes << " bytes";
    EXPECT_LT(faults, 20);
  }
}

}  // namespace
}  // namespace ldmpi::test
