#include "train/run_state.h"

#include <algorithm>

#include "exec/parameters.h"

namespace ldmpi::train {
namespace {

using ir::Arena;

void broadcast(comm::Communicator& communicator, std::span<float> data) {
  communicator.broadcast(std::as_writable_bytes(data), 0);
}

std::vector<float> gather(const StateAccess& access, Arena arena) {
  const auto& storage = access.parameters.storage();
  const auto mine = exec::download_arena(access.programs, access.device, arena, storage.shard_elements(), DType::F32);
  return exec::gather_shards(storage, access.communicator, mine);
}

class StateSnapshot final : public Snapshot {
 public:
  // Tensor files with the flat copy that holds their values.
  struct Part {
    std::string path;
    std::string prefix;
    std::shared_ptr<const std::vector<float>> flat;
    bool frozen_too = false;
  };

  StateSnapshot(const ParameterIo& parameters, const std::vector<Part>& parts, TrainState state,
                std::map<std::string, std::string> texts)
      : parameters_(parameters), state_(std::move(state)), texts_(std::move(texts)) {
    for (const auto& part : parts) {
      if (files_.empty() || files_.back().path != part.path) {
        files_.push_back({part.path, {}});
        sources_.emplace_back();
      }
      const auto& entries = parameters.table().entries();
      for (std::size_t e = 0; e < entries.size(); ++e) {
        if (!part.frozen_too && !parameters.table().trainable(entries[e])) continue;
        files_.back().tensors.push_back({part.prefix + entries[e].name, DType::F32, entries[e].shape});
        sources_.back().push_back({part.flat, e});
      }
    }
  }

  const std::vector<TensorFile>& files() const override { return files_; }
  void read(std::size_t file, std::size_t tensor, std::span<float> out) const override {
    const auto& [flat, entry] = sources_[file][tensor];
    parameters_.read(parameters_.table().entries()[entry], *flat, out);
  }
  const TrainState& state() const override { return state_; }
  const std::map<std::string, std::string>& texts() const override { return texts_; }

 private:
  const ParameterIo& parameters_;
  std::vector<TensorFile> files_;
  std::vector<std::vector<std::pair<std::shared_ptr<const std::vector<float>>, std::size_t>>> sources_;
  TrainState state_;
  std::map<std::string, std::string> texts_;
};

}  // namespace

void set_weights(const StateAccess& access, std::span<const float> flat, double loss_scale) {
  const auto& storage = access.parameters.storage();
  const auto trainable = flat.first(static_cast<std::size_t>(storage.trainable));
  exec::upload_arena(access.programs, access.device, Arena::Weights, flat, access.spec.compute);
  const auto shard = exec::take_shard(storage, access.communicator.rank(), trainable);
  if (access.spec.compute != DType::F32)
    exec::upload_arena(access.programs, access.device, Arena::Master, shard, DType::F32);
  if (access.spec.update.ema) exec::upload_arena(access.programs, access.device, Arena::Ema, shard, DType::F32);
  const std::vector<float> zeros(static_cast<std::size_t>(storage.shard_elements()), 0.0F);
  exec::upload_arena(access.programs, access.device, Arena::Moment1, zeros, DType::F32);
  exec::upload_arena(access.programs, access.device, Arena::Moment2, zeros, DType::F32);
  std::vector<double> slots(ir::kStateSlots, 0.0);
  slots[static_cast<std::size_t>(ir::StateSlot::LossScale)] = loss_scale;
  access.device.upload(access.programs.arena(Arena::State), slots.data(), slots.size() * sizeof(double));
}

std::vector<double> read_state_slots(const StateAccess& access) {
  std::vector<double> slots(ir::kStateSlots);
  access.device.download(slots.data(), access.programs.arena(Arena::State), slots.size() * sizeof(double));
  return slots;
}

FlatWeights copy_weights(const StateAccess& access) {
  const auto& storage = access.parameters.storage();
  FlatWeights result;
  const bool root = access.communicator.rank() == 0;
  auto weights =
      root ? exec::download_arena(access.programs, access.device, Arena::Weights, storage.total, access.spec.compute)
           : std::vector<float>{};
  if (access.spec.compute != DType::F32) {  // the master copy is exact; frozen weights have none
    const auto master = gather(access, Arena::Master);
    std::copy(master.begin(), master.end(), weights.begin());
  }
  if (access.spec.update.ema) {
    const auto average = gather(access, Arena::Ema);
    if (root) {
      result.average = weights;
      std::copy(average.begin(), average.end(), result.average.begin());
    }
  }
  result.trained = std::move(weights);
  return result;
}

std::shared_ptr<const Snapshot> take_snapshot(const StateAccess& access, TrainState state,
                                              std::map<std::string, std::string> texts) {
  auto weights = copy_weights(access);
  auto moment1 = std::make_shared<const std::vector<float>>(gather(access, Arena::Moment1));
  auto moment2 = std::make_shared<const std::vector<float>>(gather(access, Arena::Moment2));
  if (access.communicator.rank() != 0) return nullptr;

  const auto slots = read_state_slots(access);
  auto slot = [&](ir::StateSlot s) { return slots[static_cast<std::size_t>(s)]; };
  state.applied_steps = static_cast<std::int64_t>(slot(ir::StateSlot::Applied));
  state.skipped_steps = static_cast<std::int64_t>(slot(ir::StateSlot::Skipped));
  state.loss_scale = slot(ir::StateSlot::LossScale);
  state.loss_scale_good_steps = static_cast<std::int64_t>(slot(ir::StateSlot::GoodSteps));
  state.ema_count = static_cast<std::int64_t>(slot(ir::StateSlot::EmaCount));

  const auto path = [](std::string_view view) { return std::string(view); };
  std::vector<StateSnapshot::Part> parts;
  parts.push_back({path(kUnetFile), "", std::make_shared<const std::vector<float>>(std::move(weights.trained)), true});
  if (access.spec.update.ema)
    parts.push_back({path(kEmaFile), "", std::make_shared<const std::vector<float>>(std::move(weights.average)), true});
  parts.push_back({path(kOptimizerFile), "m.", std::move(moment1), false});
  parts.push_back({path(kOptimizerFile), "v.", std::move(moment2), false});
  return std::make_shared<const StateSnapshot>(access.parameters, parts, std::move(state), std::move(texts));
}

TrainState restore(const StateAccess& access, const CheckpointReader* reader) {
  const auto& storage = access.parameters.storage();
  auto& communicator = access.communicator;
  const auto state = parse_train_state(
      communicator.broadcast_text(reader != nullptr ? to_json(reader->state()) : "", 0), "the state of rank 0");
  // Rank 0 reads a flat copy, everybody keeps its part.
  auto load = [&](std::string_view file, const std::string& prefix, std::int64_t elements, bool frozen_too) {
    std::vector<float> flat(static_cast<std::size_t>(elements), 0.0F);
    comm::Communicator& ranks = communicator;
    if (reader != nullptr) {
      std::vector<float> values;
      for (const auto& entry : access.parameters.table().entries()) {
        if (!frozen_too && !access.parameters.table().trainable(entry)) continue;
        values.resize(static_cast<std::size_t>(entry.shape.count()));
        reader->read_float(file, prefix + entry.name, entry.shape, values);
        access.parameters.write(entry, values, flat);
      }
    }
    broadcast(ranks, flat);
    return flat;
  };
  const auto weights = load(kUnetFile, "", storage.total, true);
  set_weights(access, weights, state.loss_scale);
  auto put = [&](Arena arena, std::span<const float> flat) {
    const auto shard =
        exec::take_shard(storage, communicator.rank(), flat.first(static_cast<std::size_t>(storage.trainable)));
    exec::upload_arena(access.programs, access.device, arena, shard, DType::F32);
  };
  if (access.spec.update.ema) {
    const auto has = communicator.all_reduce_max(std::int64_t{reader != nullptr && reader->has(kEmaFile)});
    if (has != 0) put(Arena::Ema, load(kEmaFile, "", storage.total, true));
  }
  put(Arena::Moment1, load(kOptimizerFile, "m.", storage.trainable, false));
  put(Arena::Moment2, load(kOptimizerFile, "v.", storage.trainable, false));

  std::vector<double> slots(ir::kStateSlots, 0.0);
  auto set = [&](ir::StateSlot slot, double value) { slots[static_cast<std::size_t>(slot)] = value; };
  set(ir::StateSlot::Applied, static_cast<double>(state.applied_steps));
  set(ir::StateSlot::Skipped, static_cast<double>(state.skipped_steps));
  set(ir::StateSlot::LossScale, state.loss_scale);
  set(ir::StateSlot::GoodSteps, static_cast<double>(state.loss_scale_good_steps));
  set(ir::StateSlot::EmaCount, static_cast<double>(state.ema_count));
  access.device.upload(access.programs.arena(Arena::State), slots.data(), slots.size() * sizeof(double));
  return state;
}

}  // namespace ldmpi::train
