// Convolutions and matrix products of the CPU backend at the sizes of U-Nets, in GFLOP/s of processor time.
//   OMP_WAIT_POLICY=passive cpu_kernels_bench [--threads N] [Google Benchmark options]

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <random>

#include "backend/cpu/cpu_backend.h"

namespace ldmpi {
namespace {

int threads = 1;

void measure(benchmark::State& state, const ir::Op& op, const backend::NodeTypes& types, double flop) {
  const auto device = backend::make_cpu_device(threads);
  const auto lowering = backend::make_cpu_lowering(threads);
  const auto elements = [&](const ir::Type& type) {
    return type.layout == ir::Layout::Parameter ? lowering->weight_layout(type.shape).elements : type.count();
  };
  std::mt19937 bits(1);
  const auto operand = [&](const ir::Type& type) {
    auto memory = device->allocate(static_cast<std::size_t>(elements(type)) * sizeof(float));
    auto* data = static_cast<float*>(memory->data());
    for (std::int64_t i = 0; i < elements(type); ++i) data[i] = static_cast<float>(bits() % 1024) / 512.0F - 1.0F;
    return memory;
  };
  std::vector<std::unique_ptr<backend::Memory>> memory;
  std::vector<const void*> inputs;
  for (const auto& type : types.inputs) inputs.push_back(memory.emplace_back(operand(type))->data());
  void* output = memory.emplace_back(operand(types.outputs[0]))->data();
  const auto workspace = device->allocate(lowering->answer(op, types).workspace_bytes);
  const auto kernel = device->make_kernel(op, types);
  const backend::KernelArgs args{.inputs = inputs, .outputs = {&output, 1}, .workspace = workspace->data()};
  kernel->run(args);
  for (auto _ : state) kernel->run(args);
  state.SetLabel(kernel->choice());
  state.counters["GFLOP/s"] = benchmark::Counter(flop * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

ir::Type rows(std::int64_t count, std::int64_t columns) {
  return {DType::F32, Shape{count, columns}};
}
ir::Type image(const Shape& shape) {
  return {DType::F32, shape};
}
ir::Type weight(const Shape& shape) {
  return {DType::F32, shape, 0, ir::Layout::Parameter};
}

void add(const std::string& name, const ir::Op& op, const backend::NodeTypes& types, double flop) {
  benchmark::RegisterBenchmark(name.c_str(), measure, op, types, flop)
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
}

void add_convolution(std::int64_t n, std::int64_t in, std::int64_t size, std::int64_t out, int stride) {
  const ir::Conv2d op{stride, 1};
  const std::int64_t small = (size + 2 - 3) / stride + 1;
  const auto x = image({n, in, size, size}), y = image({n, out, small, small});
  const auto w = weight({out, in, 3, 3});
  const double flop = 2.0 * 9 * static_cast<double>(n * in * out * small * small);
  const auto name = fmt::format("conv N{} {}->{} {}x{} /{}", n, in, out, size, size, stride);
  add(name + " fwd", op, {{x, w}, {y}}, flop);
  add(name + " bwd_d", ir::Conv2dInputGrad{op, size, size}, {{y, w}, {x}}, flop);
  add(name + " bwd_w", ir::Conv2dWeightGrad{op, 3}, {{y, x}, {w}}, flop);
}

void add_linear(std::int64_t count, std::int64_t in, std::int64_t out) {
  const double flop = 2.0 * static_cast<double>(count * in * out);
  const auto name = fmt::format("linear {} {}->{}", count, in, out);
  const auto x = rows(count, in), y = rows(count, out), w = rows(out, in);
  add(name + " fwd", ir::MatMul{false, true}, {{x, w}, {y}}, flop);
  add(name + " bwd_d", ir::MatMul{}, {{y, w}, {x}}, flop);
  add(name + " bwd_w", ir::MatMul{true, false}, {{y, x}, {w}}, flop);
}

void add_all() {
  for (auto [n, in, size, out, stride] : std::vector<std::array<std::int64_t, 5>>{{4, 64, 64, 64, 1},
                                                                                  {4, 128, 32, 128, 1},
                                                                                  {4, 256, 16, 256, 1},
                                                                                  {4, 256, 8, 256, 1},
                                                                                  {4, 64, 64, 64, 2},
                                                                                  {4, 4, 64, 64, 1},
                                                                                  {4, 64, 64, 4, 1},
                                                                                  {16, 32, 16, 32, 1},
                                                                                  {1, 320, 64, 320, 1},
                                                                                  {1, 640, 32, 640, 1},
                                                                                  {1, 1280, 16, 1280, 1},
                                                                                  {1, 1280, 8, 1280, 1},
                                                                                  {1, 960, 64, 320, 1}})
    add_convolution(n, in, size, out, static_cast<int>(stride));
  for (auto [count, in, out] : std::vector<std::array<std::int64_t, 3>>{{4096, 320, 320},
                                                                        {4096, 320, 2560},
                                                                        {4096, 1280, 320},
                                                                        {1024, 640, 640},
                                                                        {1024, 640, 5120},
                                                                        {256, 1280, 1280},
                                                                        {77, 768, 320},
                                                                        {4096, 64, 64},
                                                                        {1024, 128, 1024},
                                                                        {256, 256, 2048},
                                                                        {4, 256, 1024},
                                                                        {1, 1280, 1280}})
    add_linear(count, in, out);
}

}  // namespace
}  // namespace ldmpi

int main(int argc, char** argv) {
  ldmpi::backend::prefer_passive_threads(argv);
  if (argc > 2 && std::strcmp(argv[1], "--threads") == 0) {
    ldmpi::threads = std::atoi(argv[2]);
    argv[2] = argv[0];
    argv += 2;
    argc -= 2;
  }
  ldmpi::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 78;
  benchmark::RunSpecifiedBenchmarks();
}
