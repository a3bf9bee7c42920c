#include "train/tensor_stream.h"

#include <algorithm>

#include "exec/parameters.h"

namespace ldmpi::train {
namespace {

using ir::Arena;

bool is_sharded(Arena arena) {
  return arena == Arena::Master || arena == Arena::Moment1 || arena == Arena::Moment2 || arena == Arena::Ema;
}

DType type_of(const StepSpec& spec, Arena arena) {
  if (arena == Arena::Weights) return spec.compute;
  return arena == Arena::Gradients ? spec.gradient_type() : DType::F32;
}

// Room for the largest of what is asked for, taken once.
class Room {
 public:
  explicit Room(std::int64_t elements) : values_(static_cast<std::size_t>(elements)) {}
  std::span<float> first(std::int64_t elements) { return std::span(values_).first(static_cast<std::size_t>(elements)); }

 private:
  std::vector<float> values_;
};

}  // namespace

void write_tensors(const StateAccess& access, std::initializer_list<Arena> arenas, Origin origin,
                   const TensorSource& source) {
  const auto& parameters = access.parameters;
  const auto& table = parameters.table();
  auto& ranks = access.communicator;
  const bool all = std::ranges::find(arenas, Arena::Weights) != arenas.end();
  Room block_room(parameters.largest_block());
  Room tensor_room(parameters.largest_tensor());
  for (const int block : parameters.block_order(all)) {
    const auto& run = parameters.run(block);
    const auto stored = block_room.first(run.size());
    if (origin == Origin::EveryRank || ranks.rank() == 0)
      for (const int index : table.blocks()[static_cast<std::size_t>(block)].entries) {
        const auto& entry = table.entries()[static_cast<std::size_t>(index)];
        const auto values = tensor_room.first(entry.shape.count());
        source(entry, values);
        parameters.pack(entry, values, stored);
      }
    if (origin == Origin::Rank0) ranks.broadcast(std::as_writable_bytes(stored), 0);
    for (const auto arena : arenas) {
      if (access.programs.arena(arena) == nullptr) continue;
      exec::ShardPart part{run, run.begin};
      if (is_sharded(arena)) {
        if (!table.blocks()[static_cast<std::size_t>(block)].trainable) continue;
        part = exec::shard_part(parameters.storage(), parameters.storage().shards == 1 ? 0 : ranks.rank(), run);
      }
      exec::upload(access.programs, access.device, arena, part.local,
                   stored.subspan(static_cast<std::size_t>(part.run.begin - run.begin),
                                  static_cast<std::size_t>(part.run.size())),
                   type_of(access.spec, arena));
    }
  }
}

void read_tensors(const StateAccess& access, Arena arena, bool frozen_too, const TensorSink& sink) {
  const auto& parameters = access.parameters;
  const auto& table = parameters.table();
  const auto& storage = parameters.storage();
  const bool gathers = is_sharded(arena) && storage.shards > 1;
  const bool root = access.communicator.rank() == 0;
  if (!root && !gathers) return;

  const auto order = parameters.block_order(frozen_too);
  auto next = order.begin();
  auto show = [&](int block, auto&& fill) {
    for (const int index : table.blocks()[static_cast<std::size_t>(block)].entries) {
      const auto& entry = table.entries()[static_cast<std::size_t>(index)];
      sink(entry, [&](std::span<float> values) { fill(entry, values); });
    }
  };
  for (std::size_t b = 0; gathers && b < storage.buckets.size(); ++b) {
    const auto bucket = exec::gather_bucket(access.programs, access.device, access.communicator, arena, b);
    for (; root && next != order.end() && parameters.run(*next).begin < storage.buckets[b].end; ++next) {
      const auto& run = parameters.run(*next);
      const auto stored = std::span(bucket).subspan(static_cast<std::size_t>(run.begin - storage.buckets[b].begin),
                                                    static_cast<std::size_t>(run.size()));
      show(*next, [&](const auto& entry, std::span<float> values) { parameters.unpack(entry, stored, values); });
    }
  }
  if (!root) return;

  Room room(parameters.largest_block());
  for (; next != order.end(); ++next) {
    const bool trainable = table.blocks()[static_cast<std::size_t>(*next)].trainable;
    const auto from = trainable ? arena : Arena::Weights;
    auto download = [&](const plan::Run& run, std::span<float> values) {
      exec::download(access.programs, access.device, from, run.begin, values, type_of(access.spec, from));
    };
    show(*next, [&](const auto& entry, std::span<float> values) {
      if (const auto run = parameters.plain_run(entry)) return download(*run, values);
      const auto& run = parameters.run(*next);
      const auto stored = room.first(run.size());
      download(run, stored);
      parameters.unpack(entry, stored, values);
    });
  }
}

Arena trained_arena(const exec::ProgramSet& programs) {
  return programs.arena(Arena::Master) != nullptr ? Arena::Master : Arena::Weights;
}

std::int64_t staging_bytes(const ParameterIo& parameters) {
  const auto& storage = parameters.storage();
  auto part = parameters.largest_block();
  // Gathered as pieces and then as one.
  for (const auto& bucket : storage.buckets)
    if (storage.shards > 1) part = std::max(part, 2 * bucket.size() + bucket.size() / storage.shards);
  return (parameters.largest_tensor() + part) * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace ldmpi::train
