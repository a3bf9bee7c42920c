// Binding a program set to a device and running it.

#include <cstring>

#include "exec/program_set.h"

namespace ldmpi::exec {

// One step of a bound program, ready to run: nothing is looked up any more.
struct BoundNode {
  enum class Kind : std::uint8_t { Kernel, Start, Wait, SumRanks, Mark };
  Kind kind = Kind::Kernel;
  backend::KernelPtr kernel;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  void* workspace = nullptr;
  comm::Request* request = nullptr;
  std::size_t bytes = 0;
  ir::Phase phase = ir::Phase::Forward;
};

struct ProgramSet::Bound {
  std::vector<BoundNode> nodes;
  std::map<int, std::unique_ptr<comm::Request>> requests;  // started collectives, by sequence
  std::vector<std::unique_ptr<comm::Request>> sums;
  std::vector<comm::Request*> flying;  // capacity reserved while binding
  std::string choices;
};

ProgramSet::ProgramSet(const backend::Lowering& lowering, plan::ParameterStorage storage)
    : lowering_(lowering), storage_(std::move(storage)) {}

ProgramSet::~ProgramSet() = default;

void ProgramSet::bind(backend::Device& device, comm::Communicator& communicator) {
  device_ = &device;
  for (std::size_t a = 0; a < memory_.size(); ++a)
    if (arena_bytes_[a] > 0) memory_[a] = device.allocate(static_cast<std::size_t>(arena_bytes_[a]));
  for (const auto& [label, data] : constants_)
    device.upload(static_cast<std::byte*>(arena(ir::Arena::Constants)) + constant_slots_.at(label), data->data(),
                  data->size() * sizeof(float));

  for (const auto& program : programs_) {
    auto bound = std::make_unique<Bound>();
    const auto& graph = program.graph;
    auto address = [&](ir::Value value) -> void* {
      const auto& place = program.plan.places[static_cast<std::size_t>(value.id)];
      auto* base = static_cast<std::byte*>(arena(place.arena));
      return base == nullptr ? nullptr : base + place.offset;
    };
    for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
      const auto& node = graph.nodes()[n];
      BoundNode step;
      step.phase = node.phase;
      for (auto input : node.inputs) step.inputs.push_back(address(input));
      for (auto output : node.outputs) step.outputs.push_back(address(output));
      if (const auto* start = std::get_if<ir::StartCollective>(&node.op)) {
        const auto dtype = graph.type(node.inputs[0]).dtype;
        auto* buffer =
            static_cast<std::byte*>(address(node.inputs[0])) + static_cast<std::size_t>(start->begin) * size_of(dtype);
        const auto count = static_cast<std::size_t>(start->end - start->begin);
        const auto ranks = static_cast<std::size_t>(communicator.size());
        auto request = start->kind == ir::CollectiveKind::AllReduce
                           ? communicator.prepare_all_reduce(buffer, count, dtype)
                       : start->kind == ir::CollectiveKind::ReduceScatter
                           ? communicator.prepare_reduce_scatter(buffer, count / ranks, dtype)
                           : communicator.prepare_all_gather(buffer, count / ranks, dtype);
        step.kind = BoundNode::Kind::Start;
        step.request = request.get();
        LDMPI_CHECK(bound->requests.emplace(start->sequence, std::move(request)).second,
                    "program {} starts collective {} twice", program.name, start->sequence);
      } else if (const auto* wait = std::get_if<ir::WaitCollective>(&node.op)) {
        step.kind = BoundNode::Kind::Wait;
        step.request = bound->requests.at(wait->sequence).get();
      } else if (std::holds_alternative<ir::SumRanks>(node.op)) {
        step.kind = BoundNode::Kind::SumRanks;
        const auto& type = graph.type(node.inputs[0]);
        step.bytes = static_cast<std::size_t>(type.bytes());
        bound->sums.push_back(
            communicator.prepare_all_reduce(step.outputs[0], static_cast<std::size_t>(type.count()), type.dtype));
        step.request = bound->sums.back().get();
      } else if (std::holds_alternative<ir::Mark>(node.op)) {
        step.kind = BoundNode::Kind::Mark;
        step.phase = std::get<ir::Mark>(node.op).phase;
      } else if (ir::needs_kernel(node.op)) {
        step.kernel = device.make_kernel(node.op, kernel_types(program, node, true));
        if (program.plan.workspace[n] >= 0)
          step.workspace = static_cast<std::byte*>(arena(ir::Arena::Activations)) + program.plan.workspace[n];
        bound->choices += fmt::format("{:5} {:18} {}\n", n, name_of(node.op), step.kernel->choice());
      } else {
        continue;
      }
      bound->nodes.push_back(std::move(step));
    }
    bound->flying.reserve(bound->requests.size());
    bound_.push_back(std::move(bound));
  }
}

PhaseSeconds ProgramSet::run(int program) {
  auto& bound = *bound_.at(static_cast<std::size_t>(program));
  PhaseSeconds seconds{};
  auto phase = ir::Phase::Data;
  auto since = Clock::now();
  auto enter = [&](ir::Phase next) {
    const auto now = Clock::now();
    seconds[static_cast<std::size_t>(phase)] += std::chrono::duration<double>(now - since).count();
    since = now;
    phase = next;
  };
  bound.flying.clear();
  for (const auto& node : bound.nodes) {
    switch (node.kind) {
      case BoundNode::Kind::Kernel:
        node.kernel->run({node.inputs, node.outputs, node.workspace});
        // MPI moves data only inside its calls: one test moves everything in flight.
        if (!bound.flying.empty() && bound.flying.back()->test()) bound.flying.pop_back();
        break;
      case BoundNode::Kind::Start:
        node.request->start();
        bound.flying.push_back(node.request);
        break;
      case BoundNode::Kind::Wait:
        node.request->wait();
        std::erase(bound.flying, node.request);
        break;
      case BoundNode::Kind::SumRanks:
        std::memcpy(node.outputs[0], node.inputs[0], node.bytes);
        node.request->start();
        node.request->wait();
        break;
      case BoundNode::Kind::Mark: enter(node.phase); break;
    }
  }
  device_->synchronize();
  enter(phase);
  return seconds;
}

ir::Value ProgramSet::find_input(int program, const std::string& label) const {
  for (const auto& node : programs_.at(static_cast<std::size_t>(program)).graph.nodes())
    if (const auto* input = std::get_if<ir::Input>(&node.op); input != nullptr && input->label == label)
      return node.outputs[0];
  return {};
}

bool ProgramSet::has_input(int program, const std::string& label) const {
  return static_cast<bool>(find_input(program, label));
}

const ir::Type& ProgramSet::input_type(int program, const std::string& label) const {
  const auto value = find_input(program, label);
  LDMPI_CHECK(value.id >= 0, "program {} has no input {}", program, label);
  return programs_[static_cast<std::size_t>(program)].graph.type(value);
}

const ir::Type& ProgramSet::output_type(int program, const std::string& label) const {
  const auto& graph = programs_.at(static_cast<std::size_t>(program)).graph;
  const auto found = graph.outputs().find(label);
  LDMPI_CHECK(found != graph.outputs().end(), "program {} has no output {}", program, label);
  return graph.type(found->second);
}

void ProgramSet::write_input(int program, const std::string& label, const void* host, std::size_t bytes) {
  const auto& type = input_type(program, label);
  LDMPI_CHECK(static_cast<std::int64_t>(bytes) == type.bytes(), "input {} takes {} bytes, not {}", label, type.bytes(),
              bytes);
  device_->upload(static_cast<std::byte*>(arena(ir::Arena::Inputs)) + input_slots_.at(label), host, bytes);
}

void ProgramSet::read_output(int program, const std::string& label, void* host, std::size_t bytes) const {
  const auto& type = output_type(program, label);
  const auto& owner = programs_[static_cast<std::size_t>(program)];
  const auto& place = owner.plan.places[static_cast<std::size_t>(owner.graph.outputs().at(label).id)];
  LDMPI_CHECK(static_cast<std::int64_t>(bytes) == type.bytes(), "output {} has {} bytes, not {}", label, type.bytes(),
              bytes);
  const auto* from = static_cast<const std::byte*>(arena(place.arena)) + place.offset;
  if (place.pitch == 0) {
    device_->download(host, from, bytes);
    return;
  }
  const auto row = static_cast<std::size_t>(type.columns()) * size_of(type.dtype);
  const auto pitch = static_cast<std::size_t>(place.pitch) * size_of(type.dtype);
  for (std::size_t r = 0; r * row < bytes; ++r)
    device_->download(static_cast<std::byte*>(host) + r * row, from + r * pitch, row);
}

void* ProgramSet::arena(ir::Arena arena) const {
  const auto& memory = memory_[static_cast<std::size_t>(arena)];
  return memory ? memory->data() : nullptr;
}

std::string ProgramSet::print_kernels(int program) const {
  return bound_.at(static_cast<std::size_t>(program))->choices;
}

}  // namespace ldmpi::exec
