#include "train/run_state.h"

#include <utility>

#include "train/handover.h"

namespace ldmpi::train {
namespace {

using ir::Arena;
using ir::StateSlot;

void write_slots(const StateAccess& access, std::initializer_list<std::pair<StateSlot, double>> values) {
  std::vector<double> slots(ir::kStateSlots, 0.0);
  for (const auto& [slot, value] : values) slots[static_cast<std::size_t>(slot)] = value;
  access.device.upload(access.programs.arena(Arena::State), slots.data(), slots.size() * sizeof(double));
}

void fill_counters(const StateAccess& access, TrainState& state) {
  const auto slots = read_state_slots(access);
  auto slot = [&](StateSlot s) { return slots[static_cast<std::size_t>(s)]; };
  state.applied_steps = static_cast<std::int64_t>(slot(StateSlot::Applied));
  state.skipped_steps = static_cast<std::int64_t>(slot(StateSlot::Skipped));
  state.loss_scale = slot(StateSlot::LossScale);
  state.loss_scale_good_steps = static_cast<std::int64_t>(slot(StateSlot::GoodSteps));
  state.ema_count = static_cast<std::int64_t>(slot(StateSlot::EmaCount));
}

// A set of tensors in a checkpoint: where it lies, and under which names.
struct StatePart {
  Arena arena;
  std::string_view file;
  std::string_view prefix;
  bool frozen_too;
};

std::vector<StatePart> parts_of(const StateAccess& access) {
  std::vector<StatePart> parts{{trained_arena(access.programs), kUnetFile, "", true}};
  if (access.programs.arena(Arena::Ema) != nullptr) parts.push_back({Arena::Ema, kEmaFile, "", true});
  parts.push_back({Arena::Moment1, kOptimizerFile, "m.", false});
  parts.push_back({Arena::Moment2, kOptimizerFile, "v.", false});
  return parts;
}

// Tensors are listed in the order in which read_tensors shows them: the writer asks in that order.
std::vector<TensorFile> files_of(const ParameterIo& parameters, const std::vector<StatePart>& parts) {
  const auto& table = parameters.table();
  std::vector<TensorFile> files;
  for (const auto& part : parts) {
    if (files.empty() || files.back().path != part.file) files.push_back({std::string(part.file), {}});
    for (const int block : parameters.block_order(part.frozen_too))
      for (const int index : table.blocks()[static_cast<std::size_t>(block)].entries) {
        const auto& entry = table.entries()[static_cast<std::size_t>(index)];
        files.back().tensors.push_back({std::string(part.prefix) + entry.name, DType::F32, entry.shape});
      }
  }
  return files;
}

}  // namespace

void begin_state(const StateAccess& access, Origin origin, const TensorSource& source, double loss_scale) {
  write_tensors(access, {Arena::Weights, Arena::Master, Arena::Ema}, origin, source);
  write_slots(access, {{StateSlot::LossScale, loss_scale}});
}

std::vector<double> read_state_slots(const StateAccess& access) {
  std::vector<double> slots(ir::kStateSlots);
  access.device.download(slots.data(), access.programs.arena(Arena::State), slots.size() * sizeof(double));
  return slots;
}

void save_state(const StateAccess& access, CheckpointWriter* writer, TrainState state,
                std::map<std::string, std::string> texts) {
  const auto parts = parts_of(access);
  const auto handover = std::make_shared<Handover>();
  const Handover::Closer closer(handover);  // whatever ends this function, the writer does not wait for more
  if (writer != nullptr) {
    fill_counters(access, state);
    writer->submit(std::make_shared<const HandoverSnapshot>(handover, files_of(access.parameters, parts),
                                                            std::move(state), std::move(texts)));
  }
  for (const auto& part : parts)
    read_tensors(access, part.arena, part.frozen_too, [&](const auto&, const auto& fill) { handover->give(fill); });
}

void restore_state(const StateAccess& access, const CheckpointReader* reader, const TrainState& state) {
  auto from = [reader](std::string_view file, std::string_view prefix) -> TensorSource {
    return [=](const nn::ParameterEntry& entry, std::span<float> values) {
      reader->read_float(file, std::string(prefix) + entry.name, entry.shape, values);
    };
  };
  const bool average =
      access.communicator.all_reduce_max(std::int64_t{reader != nullptr && reader->has(kEmaFile)}) != 0;
  if (average) {
    write_tensors(access, {Arena::Weights, Arena::Master}, Origin::Rank0, from(kUnetFile, ""));
    write_tensors(access, {Arena::Ema}, Origin::Rank0, from(kEmaFile, ""));
  } else {
    write_tensors(access, {Arena::Weights, Arena::Master, Arena::Ema}, Origin::Rank0, from(kUnetFile, ""));
  }
  write_tensors(access, {Arena::Moment1}, Origin::Rank0, from(kOptimizerFile, "m."));
  write_tensors(access, {Arena::Moment2}, Origin::Rank0, from(kOptimizerFile, "v."));
  write_slots(access, {{StateSlot::Applied, static_cast<double>(state.applied_steps)},
                       {StateSlot::Skipped, static_cast<double>(state.skipped_steps)},
                       {StateSlot::LossScale, state.loss_scale},
                       {StateSlot::GoodSteps, static_cast<double>(state.loss_scale_good_steps)},
                       {StateSlot::EmaCount, static_cast<double>(state.ema_count)}});
}

}  // namespace ldmpi::train
