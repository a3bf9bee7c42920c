// Lowering and planning of a program set: the half that needs no device.

#include <algorithm>

#include "exec/program_set.h"
#include "plan/verify.h"

namespace ldmpi::exec {
namespace {

std::size_t index(ir::Arena arena) {
  return static_cast<std::size_t>(arena);
}

}  // namespace

int ProgramSet::add(std::string name, ir::Graph graph) {
  programs_.push_back({std::move(name), std::move(graph), {}, {}});
  return static_cast<int>(programs_.size()) - 1;
}

backend::NodeTypes ProgramSet::kernel_types(const Program& program, const ir::Node& node, bool placed) const {
  // Only convolutions know the storage of a convolution weight; to all others it is a row of elements.
  const bool knows_layout = std::holds_alternative<ir::Conv2d>(node.op) ||
                            std::holds_alternative<ir::Conv2dInputGrad>(node.op) ||
                            std::holds_alternative<ir::Conv2dWeightGrad>(node.op);
  auto type_of = [&](ir::Value value) {
    auto type = program.graph.type(value);
    if (type.layout == ir::Layout::Parameter && !knows_layout)
      return ir::Type{type.dtype, Shape{lowering_.weight_layout(type.shape).elements}};
    if (placed) type.pitch = program.plan.places[static_cast<std::size_t>(value.id)].pitch;
    return type;
  };
  backend::NodeTypes types;
  for (auto input : node.inputs) types.inputs.push_back(type_of(input));
  for (auto output : node.outputs) types.outputs.push_back(type_of(output));
  return types;
}

// Inputs and constants of one name share a slot in all programs; the slot is as large as the largest of them.
void ProgramSet::collect_slots() {
  std::map<std::string, std::int64_t> inputs;
  std::map<std::string, std::int64_t> constants;
  auto need = [this](ir::Arena arena, std::int64_t end) {
    auto& bytes = arena_bytes_[index(arena)];
    bytes = std::max(bytes, (end + plan::kAlignment - 1) / plan::kAlignment * plan::kAlignment);
  };
  for (const auto& program : programs_) {
    for (const auto& [value, binding] : program.graph.bindings())
      need(binding.arena, binding.arena == ir::Arena::Gradients
                              ? storage_.trainable * static_cast<std::int64_t>(size_of(program.graph.type(value).dtype))
                              : (binding.block + 1) * plan::kAlignment);
    for (const auto& node : program.graph.nodes()) {
      if (const auto* input = std::get_if<ir::Input>(&node.op)) {
        inputs[input->label] = std::max(inputs[input->label], input->type.bytes());
      } else if (const auto* constant = std::get_if<ir::Constant>(&node.op)) {
        constants[constant->label] = static_cast<std::int64_t>(constant->data->size() * sizeof(float));
        constants_[constant->label] = constant->data;
      } else if (const auto* persistent = std::get_if<ir::Persistent>(&node.op)) {
        const auto size = static_cast<std::int64_t>(size_of(persistent->type.dtype));
        if (persistent->arena == ir::Arena::Weights)
          need(persistent->arena, storage_.total * size);
        else if (persistent->arena == ir::Arena::Gradients)
          need(persistent->arena, storage_.trainable * size);
        else if (persistent->arena == ir::Arena::Outputs)
          need(persistent->arena, (persistent->block + 1) * plan::kAlignment);
        else
          need(persistent->arena, persistent->type.bytes());
      }
    }
  }
  auto assign = [&](ir::Arena arena, const std::map<std::string, std::int64_t>& sizes, auto& slots) {
    std::int64_t at = 0;
    for (const auto& [label, bytes] : sizes) {
      slots[label] = at;
      at += (bytes + plan::kAlignment - 1) / plan::kAlignment * plan::kAlignment;
    }
    need(arena, at);
  };
  assign(ir::Arena::Inputs, inputs, input_slots_);
  assign(ir::Arena::Constants, constants, constant_slots_);
}

plan::PlanInputs ProgramSet::plan_inputs(const Program& program) const {
  plan::PlanInputs inputs;
  inputs.facts = program.facts;
  inputs.parameter_elements = [this](const Shape& shape) { return lowering_.weight_layout(shape).elements; };
  inputs.source_place = [this](const ir::Node& node) -> plan::Place {
    if (const auto* input = std::get_if<ir::Input>(&node.op))
      return {ir::Arena::Inputs, input_slots_.at(input->label), 0};
    if (const auto* constant = std::get_if<ir::Constant>(&node.op))
      return {ir::Arena::Constants, constant_slots_.at(constant->label), 0};
    const auto& persistent = std::get<ir::Persistent>(node.op);
    std::int64_t offset = 0;
    if (persistent.arena == ir::Arena::Outputs)
      offset = persistent.block * plan::kAlignment;
    else if (persistent.block >= 0 && persistent.arena != ir::Arena::State)
      offset = storage_.blocks.at(static_cast<std::size_t>(persistent.block)).begin *
               static_cast<std::int64_t>(size_of(persistent.type.dtype));
    return {persistent.arena, offset, 0};
  };
  inputs.bound_place = [this, &program](const ir::Binding& binding) -> plan::Place {
    if (binding.arena == ir::Arena::Outputs) return {binding.arena, binding.block * plan::kAlignment, 0};
    LDMPI_CHECK(binding.arena == ir::Arena::Gradients, "only gradients and outputs are bound");
    DType dtype = DType::F32;
    for (const auto& [value, bound] : program.graph.bindings())
      if (bound == binding) dtype = program.graph.type(value).dtype;
    return {
        binding.arena,
        storage_.blocks.at(static_cast<std::size_t>(binding.block)).begin * static_cast<std::int64_t>(size_of(dtype)),
        0};
  };
  return inputs;
}

void ProgramSet::compile() {
  collect_slots();
  for (auto& program : programs_) {
    program.facts.clear();
    for (const auto& node : program.graph.nodes()) {
      plan::NodeFacts facts;
      if (ir::needs_kernel(node.op)) {
        const auto answer = lowering_.answer(node.op, kernel_types(program, node, false));
        facts = {static_cast<std::int64_t>(answer.workspace_bytes), answer.pitched_inputs, answer.pitched_outputs,
                 answer.overwrites_first};
      }
      program.facts.push_back(facts);
    }
    const auto inputs = plan_inputs(program);
    program.plan = plan::make_plan(program.graph, inputs);
    const auto faults = plan::verify(program.graph, program.plan, inputs);
    LDMPI_CHECK(faults.empty(), "the memory plan of program {} is not safe: {} faults, the first: {}", program.name,
                faults.size(), faults.front());
    auto& bytes = arena_bytes_[index(ir::Arena::Activations)];
    bytes = std::max(bytes, program.plan.activation_bytes);
  }
}

std::int64_t ProgramSet::total_bytes() const {
  std::int64_t sum = 0;
  for (auto bytes : arena_bytes_) sum += bytes;
  return sum;
}

std::int64_t ProgramSet::wire_bytes(int program, ir::CollectiveKind kind) const {
  std::int64_t sum = 0;
  const auto& graph = programs_.at(static_cast<std::size_t>(program)).graph;
  for (const auto& node : graph.nodes()) {
    if (const auto* start = std::get_if<ir::StartCollective>(&node.op); start != nullptr && start->kind == kind)
      sum += (start->end - start->begin) * static_cast<std::int64_t>(size_of(graph.type(node.inputs[0]).dtype));
    if (std::holds_alternative<ir::SumRanks>(node.op) && kind == ir::CollectiveKind::AllReduce)
      sum += graph.type(node.inputs[0]).bytes();
  }
  return sum;
}

}  // namespace ldmpi::exec
