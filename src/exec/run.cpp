// Binding a program set to a device and running it.

#include <cstring>

#include "comm/patience.h"
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
  std::size_t mark = 0;
};

// Neighbours that the device may record as one.
struct Segment {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool of_device = true;  // false: collectives of the host
  std::unique_ptr<backend::Recording> recording;
};

struct ProgramSet::Bound {
  std::vector<BoundNode> nodes;
  std::vector<Segment> segments;
  std::unique_ptr<backend::Marks> marks;
  std::vector<ir::Phase> phases;  // that begin at the marks; the last mark ends the program
  int runs = 0;
  std::map<int, std::unique_ptr<comm::Request>> requests;  // started collectives, by sequence
  std::vector<std::unique_ptr<comm::Request>> sums;
  std::vector<comm::Request*> flying;  // capacity reserved while binding
  std::string choices;

  void add_mark(ir::Phase phase) {
    BoundNode step;
    step.kind = BoundNode::Kind::Mark;
    step.mark = phases.size();
    phases.push_back(phase);
    nodes.push_back(std::move(step));
  }

  void cut_segments(bool collectives_of_host) {
    using Kind = BoundNode::Kind;
    for (std::size_t n = 0; n < nodes.size(); ++n) {
      const auto kind = nodes[n].kind;
      const bool of_host =
          collectives_of_host && (kind == Kind::Start || kind == Kind::Wait || kind == Kind::SumRanks);
      if (segments.empty() || segments.back().of_device == of_host) segments.push_back({n, n, !of_host, nullptr});
      segments.back().end = n + 1;
    }
  }

  void enqueue(const Segment& segment, backend::Device& device) {
    for (std::size_t n = segment.begin; n < segment.end; ++n) {
      const auto& node = nodes[n];
      switch (node.kind) {
        case BoundNode::Kind::Kernel:
          node.kernel->run({node.inputs, node.outputs, node.workspace});
          // MPI moves data only inside its calls: one test moves everything in flight.
          if (!flying.empty() && flying.back()->test()) flying.pop_back();
          break;
        case BoundNode::Kind::Start:
          node.request->start();
          if (!segment.of_device) flying.push_back(node.request);
          break;
        case BoundNode::Kind::Wait:
          node.request->wait();
          std::erase(flying, node.request);
          break;
        case BoundNode::Kind::SumRanks:
          device.copy(node.outputs[0], node.inputs[0], node.bytes);
          node.request->start();
          node.request->wait();
          break;
        case BoundNode::Kind::Mark: marks->set(node.mark); break;
      }
    }
  }
};

ProgramSet::ProgramSet(const backend::Lowering& lowering, plan::ParameterStorage storage)
    : lowering_(lowering), storage_(std::move(storage)) {}

ProgramSet::~ProgramSet() = default;

std::vector<backend::NodeToMake> ProgramSet::nodes_to_make() const {
  std::vector<backend::NodeToMake> nodes;
  for (const auto& program : programs_)
    for (const auto& node : program.graph.nodes())
      if (ir::needs_kernel(node.op)) nodes.push_back({&node.op, kernel_types(program, node, true)});
  return nodes;
}

void ProgramSet::bind(backend::Device& device, comm::Collectives& collectives) {
  device_ = &device;
  collectives_ = &collectives;
  device.prepare(nodes_to_make());
  for (std::size_t a = 0; a < memory_.size(); ++a)
    if (arena_bytes_[a] > 0) memory_[a] = device.allocate(static_cast<std::size_t>(arena_bytes_[a]));
  for (const auto& [label, data] : constants_)
    device.upload(static_cast<std::byte*>(arena(ir::Arena::Constants)) + constant_slots_.at(label), data->data(),
                  data->size() * sizeof(float));
  for (const auto& program : programs_) bound_.push_back(bind_program(program));
}

std::unique_ptr<ProgramSet::Bound> ProgramSet::bind_program(const Program& program) {
  auto bound = std::make_unique<Bound>();
  const auto& graph = program.graph;
  auto address = [&](ir::Value value) -> void* {
    const auto& place = program.plan.places[static_cast<std::size_t>(value.id)];
    auto* base = static_cast<std::byte*>(arena(place.arena));
    return base == nullptr ? nullptr : base + place.offset;
  };
  bound->add_mark(ir::Phase::Data);
  for (std::size_t n = 0; n < graph.nodes().size(); ++n) {
    const auto& node = graph.nodes()[n];
    BoundNode step;
    for (auto input : node.inputs) step.inputs.push_back(address(input));
    for (auto output : node.outputs) step.outputs.push_back(address(output));
    if (const auto* start = std::get_if<ir::StartCollective>(&node.op)) {
      const auto dtype = graph.type(node.inputs[0]).dtype;
      auto request = prepare_collective(*start, address(node.inputs[0]), dtype);
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
          collectives_->prepare_all_reduce(step.outputs[0], static_cast<std::size_t>(type.count()), type.dtype));
      step.request = bound->sums.back().get();
    } else if (const auto* mark = std::get_if<ir::Mark>(&node.op)) {
      bound->add_mark(mark->phase);
      continue;
    } else if (ir::needs_kernel(node.op)) {
      step.kernel = device_->make_kernel(node.op, kernel_types(program, node, true));
      if (program.plan.workspace[n] >= 0)
        step.workspace = static_cast<std::byte*>(arena(ir::Arena::Activations)) + program.plan.workspace[n];
      bound->choices += fmt::format("{:5} {:18} {}\n", n, name_of(node.op), step.kernel->choice());
    } else {
      continue;
    }
    bound->nodes.push_back(std::move(step));
  }
  bound->add_mark(ir::Phase::Data);
  bound->marks = device_->make_marks(bound->phases.size());
  bound->cut_segments(!collectives_->only_enqueue());
  bound->flying.reserve(bound->requests.size());
  return bound;
}

std::unique_ptr<comm::Request> ProgramSet::prepare_collective(const ir::StartCollective& start, void* arena,
                                                              DType dtype) {
  auto* buffer = static_cast<std::byte*>(arena) + static_cast<std::size_t>(start.begin) * size_of(dtype);
  const auto count = static_cast<std::size_t>(start.end - start.begin);
  const auto ranks = static_cast<std::size_t>(collectives_->size());
  switch (start.kind) {
    case ir::CollectiveKind::AllReduce: return collectives_->prepare_all_reduce(buffer, count, dtype);
    case ir::CollectiveKind::ReduceScatter: return collectives_->prepare_reduce_scatter(buffer, count / ranks, dtype);
    case ir::CollectiveKind::AllGather: return collectives_->prepare_all_gather(buffer, count / ranks, dtype);
  }
  return nullptr;
}

PhaseSeconds ProgramSet::run(int program) {
  auto& bound = *bound_.at(static_cast<std::size_t>(program));
  bound.flying.clear();
  for (auto& segment : bound.segments) {
    // The first run meets every kernel and connects every collective; what is recorded must not do that.
    if (segment.of_device && bound.runs == 1)
      segment.recording = device_->record([&] { bound.enqueue(segment, *device_); });
    if (segment.recording)
      segment.recording->start();
    else
      bound.enqueue(segment, *device_);
  }
  if (bound.runs < 2) ++bound.runs;
  const auto since = Clock::now();
  for (comm::Patience patience; !device_->idle(); patience.look(false)) collectives_->watch(seconds_since(since));
  PhaseSeconds seconds{};
  for (std::size_t m = 0; m + 1 < bound.phases.size(); ++m)
    seconds[static_cast<std::size_t>(bound.phases[m])] += bound.marks->seconds(m + 1) - bound.marks->seconds(m);
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
