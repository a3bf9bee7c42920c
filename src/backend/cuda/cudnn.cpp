// The only file that includes cudnn-frontend.

#include "backend/cuda/cudnn.h"

#include <cudnn_frontend.h>

#include <cmath>
#include <unordered_map>
#include <vector>

#include "backend/cuda/status.h"
#include "base/check.h"
#include "base/handle.h"

namespace ldmpi::backend::cuda {
namespace {

namespace fe = cudnn_frontend;
using Graph = fe::graph::Graph;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;
using Attributes = fe::graph::Tensor_attributes;
using CudnnHandle = Handle<cudnnContext*, [](cudnnContext* handle) { cudnnDestroy(handle); }>;

fe::DataType_t data_type(DType type) {
  switch (type) {
    case DType::BF16: return fe::DataType_t::BFLOAT16;
    case DType::F16: return fe::DataType_t::HALF;
    default: return fe::DataType_t::FLOAT;
  }
}

/// A graph, the number of its operands, and the engines that were built.
class GraphPlan final : public FusedPlan {
 public:
  GraphPlan(std::unique_ptr<Graph> graph, std::vector<std::int64_t> engines)
      : graph_(std::move(graph)), engines_(std::move(engines)) {}

  void run(cudnnContext* handle, std::span<void* const> operands, void* workspace) const override {
    std::unordered_map<std::int64_t, void*> addresses;
    for (std::size_t i = 0; i < operands.size(); ++i) addresses[static_cast<std::int64_t>(i) + 1] = operands[i];
    auto error = graph_->execute_plan_at_index(handle, addresses, workspace, chosen());
    LDMPI_CHECK(error.is_good(), "cuDNN cannot run {}: {}", name(), error.get_message());
  }
  int engines() const override { return static_cast<int>(engines_.size()); }
  void choose(int engine) override { chosen_ = engine; }
  std::size_t workspace_bytes() const override {
    std::int64_t bytes = 0;
    (void)graph_->get_workspace_size_plan_at_index(chosen(), bytes);
    return static_cast<std::size_t>(bytes);
  }
  std::string name() const override {
    std::string text;
    (void)graph_->get_plan_name_at_index(chosen(), text);
    return "cudnn:" + text;
  }

 private:
  [[nodiscard]] std::int64_t chosen() const { return engines_.at(static_cast<std::size_t>(chosen_)); }

  std::unique_ptr<Graph> graph_;
  std::vector<std::int64_t> engines_;
  int chosen_ = 0;
};

// Numbers operands in the order in which they are added: run() gives addresses in that order.
class GraphWriter {
 public:
  GraphWriter(Graph& graph, DType type) : graph_(graph), type_(data_type(type)) {
    graph.set_io_data_type(type_)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
  }

  [[nodiscard]] Tensor input(const std::vector<std::int64_t>& dims, const std::vector<std::int64_t>& strides,
                             bool statistics = false) {
    return graph_.tensor(Attributes()
                             .set_uid(next_++)
                             .set_dim(dims)
                             .set_stride(strides)
                             .set_data_type(statistics ? fe::DataType_t::FLOAT : type_));
  }
  void output(const Tensor& tensor, const std::vector<std::int64_t>& dims, const std::vector<std::int64_t>& strides,
              bool statistics = false) {
    tensor->set_output(true)
        .set_uid(next_++)
        .set_dim(dims)
        .set_stride(strides)
        .set_data_type(statistics ? fe::DataType_t::FLOAT : type_);
  }

 private:
  Graph& graph_;
  fe::DataType_t type_;
  std::int64_t next_ = 1;
};

struct Layout {
  std::vector<std::int64_t> dims;
  std::vector<std::int64_t> strides;
};

Layout image(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w, std::int64_t pitch) {
  return {{n, c, h, w}, {h * w * pitch, 1, w * pitch, pitch}};
}

template <typename A>
A convolution_attributes(const ConvolutionProblem& p) {
  return A().set_padding({p.padding, p.padding}).set_stride({p.stride, p.stride}).set_dilation({1, 1});
}

void write(Graph& graph, const ConvolutionProblem& p) {
  namespace g = fe::graph;
  GraphWriter writer(graph, p.dtype);
  const auto x = image(p.samples, p.channels, p.height, p.width, p.x_pitch);
  const auto y = image(p.samples, p.filters, p.out_height, p.out_width, p.y_pitch);
  const auto w = image(p.filters, p.channels, p.kernel, p.kernel, p.channels);
  switch (p.pass) {
    case ConvolutionPass::Forward: {
      const auto in = writer.input(x.dims, x.strides);
      const auto weights = writer.input(w.dims, w.strides);
      auto out = graph.conv_fprop(in, weights, convolution_attributes<g::Conv_fprop_attributes>(p));
      if (!p.bias) {
        writer.output(out, y.dims, y.strides);
        return;
      }
      out->set_dim(y.dims).set_stride(y.strides);
      // The output is the third operand, also with a bias.
      const auto bias = graph.tensor(Attributes()
                                         .set_uid(4)
                                         .set_dim({1, p.filters, 1, 1})
                                         .set_stride({p.filters, 1, p.filters, p.filters})
                                         .set_data_type(data_type(p.dtype)));
      const auto sum = graph.pointwise(out, bias, g::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
      writer.output(sum, y.dims, y.strides);
      return;
    }
    case ConvolutionPass::InputGrad: {
      const auto dy = writer.input(y.dims, y.strides);
      const auto weights = writer.input(w.dims, w.strides);
      writer.output(graph.conv_dgrad(dy, weights, convolution_attributes<g::Conv_dgrad_attributes>(p)), x.dims,
                    x.strides);
      return;
    }
    case ConvolutionPass::WeightGrad: {
      const auto dy = writer.input(y.dims, y.strides);
      const auto in = writer.input(x.dims, x.strides);
      writer.output(graph.conv_wgrad(dy, in, convolution_attributes<g::Conv_wgrad_attributes>(p)), w.dims, w.strides);
      return;
    }
  }
}

void write(Graph& graph, const AttentionProblem& p, bool deterministic) {
  namespace g = fe::graph;
  GraphWriter writer(graph, p.dtype);
  std::size_t next = 0;
  const auto heads = [&](std::int64_t rows) {
    const std::int64_t pitch = p.pitches.at(next++);
    return Layout{{p.batch, p.heads, rows, p.width}, {rows * pitch, p.width, pitch, 1}};
  };
  const Layout statistics{{p.batch, p.heads, p.queries, 1}, {p.heads * p.queries, p.queries, 1, 1}};
  const auto input = [&](std::int64_t rows) {
    const auto layout = heads(rows);
    return writer.input(layout.dims, layout.strides);
  };
  const auto output = [&](const Tensor& tensor, std::int64_t rows) {
    const auto layout = heads(rows);
    writer.output(tensor, layout.dims, layout.strides);
  };
  const float scale = 1.0F / std::sqrt(static_cast<float>(p.width));
  if (!p.gradient) {
    const auto q = input(p.queries);
    const auto k = input(p.keys);
    const auto v = input(p.keys);
    const auto [o, lse] =
        graph.sdpa(q, k, v, g::SDPA_attributes().set_name("sdpa").set_generate_stats(true).set_attn_scale(scale));
    output(o, p.queries);
    writer.output(lse, statistics.dims, statistics.strides, true);
    return;
  }
  const auto slope = input(p.queries);
  const auto q = input(p.queries);
  const auto k = input(p.keys);
  const auto v = input(p.keys);
  const auto o = input(p.queries);
  const auto lse = writer.input(statistics.dims, statistics.strides, true);
  const auto [dq, dk, dv] = graph.sdpa_backward(q, k, v, o, slope, lse,
                                                g::SDPA_backward_attributes()
                                                    .set_name("sdpa_gradient")
                                                    .set_attn_scale(scale)
                                                    .set_deterministic_algorithm(deterministic));
  output(dq, p.queries);
  output(dk, p.keys);
  output(dv, p.keys);
}

}  // namespace

struct Cudnn::Target {
  CudnnHandle handle;
  std::shared_ptr<fe::DeviceProperties> properties;  // null: the current device
  int capability = 0;

  [[nodiscard]] PlanOrRefusal build(std::unique_ptr<Graph> graph, DType type, const EngineRules& rules) const {
    if (properties) graph->set_device_properties(properties).set_sm_version(capability);
    fe::error_t error;
    const auto good = [&](fe::error_t step) { return (error = std::move(step)).is_good(); };
    std::vector<std::int64_t> engines;
    if (good(graph->validate()) &&
        good(properties ? graph->build_operation_graph() : graph->build_operation_graph(handle.get())) &&
        good(graph->create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}))) {
      graph->deselect_workspace_greater_than(static_cast<std::int64_t>(rules.workspace_limit));
      if (type == DType::F32 && !rules.tf32)
        graph->deselect_numeric_notes({fe::NumericalNote_t::TENSOR_CORE, fe::NumericalNote_t::DOWN_CONVERT_INPUTS});
      if (rules.deterministic) graph->deselect_numeric_notes({fe::NumericalNote_t::NONDETERMINISTIC});
      if (good(graph->check_support())) {
        const auto count = graph->get_execution_plan_count();
        for (std::int64_t i = 0; i < count && static_cast<int>(engines.size()) < rules.most_engines; ++i) {
          std::int64_t bytes = 0;
          if (good(graph->build_plan_at_index(i)) && good(graph->get_workspace_size_plan_at_index(i, bytes)) &&
              bytes <= static_cast<std::int64_t>(rules.workspace_limit))
            engines.push_back(i);
        }
      }
    }
    if (error.is_bad() && engines.empty()) return {nullptr, error.get_message()};
    if (engines.empty() && rules.most_engines > 0) return {nullptr, "all engines need more workspace"};
    return {std::make_shared<GraphPlan>(std::move(graph), std::move(engines)), {}};
  }
};

Cudnn::Cudnn(Stream stream) : target_(std::make_unique<Target>()) {
  cudnnContext* handle = nullptr;
  check_cudnn(cudnnCreate(&handle), "start on this GPU");
  target_->handle = CudnnHandle(handle);
  check_cudnn(cudnnSetStream(handle, stream), "take the stream");
}

Cudnn::Cudnn(std::string_view properties, int capability) : target_(std::make_unique<Target>()) {
  target_->properties = std::make_shared<fe::DeviceProperties>();
  target_->capability = capability;
  auto error = target_->properties->deserialize(std::vector<std::uint8_t>(properties.begin(), properties.end()));
  require(error.is_good(), Exit::BadConfig, "cuDNN does not take the device properties: {}", error.get_message());
}

Cudnn::~Cudnn() = default;

PlanOrRefusal Cudnn::plan(const ConvolutionProblem& problem, const EngineRules& rules) const {
  auto graph = std::make_unique<Graph>();
  write(*graph, problem);
  return target_->build(std::move(graph), problem.dtype, rules);
}

PlanOrRefusal Cudnn::plan(const AttentionProblem& problem, const EngineRules& rules) const {
  auto graph = std::make_unique<Graph>();
  write(*graph, problem, rules.deterministic);
  return target_->build(std::move(graph), problem.dtype, rules);
}

cudnnContext* Cudnn::handle() const {
  return target_->handle.get();
}

std::string Cudnn::version() {
  const auto version = cudnnGetVersion();
  return fmt::format("{}.{}.{}", version / 10000, version / 100 % 100, version % 100);
}

}  // namespace ldmpi::backend::cuda
