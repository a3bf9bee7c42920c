#include "exec/parameters.h"

#include <algorithm>
#include <cstring>

namespace ldmpi::exec {
namespace {

constexpr std::size_t kPiece = 1 << 16;  // elements that are converted at once

// Calls move(first, count, address) for pieces of `count` elements.
void in_pieces(const ProgramSet& set, ir::Arena arena, std::int64_t begin, std::size_t count, DType dtype,
               auto&& move) {
  if (count == 0) return;
  auto* base = static_cast<std::byte*>(set.arena(arena));
  LDMPI_CHECK(base != nullptr, "the programs have no arena {}", name_of(arena));
  base += static_cast<std::size_t>(begin) * size_of(dtype);
  const auto piece = dtype == DType::F32 ? count : kPiece;
  for (std::size_t at = 0; at < count; at += piece) move(at, std::min(piece, count - at), base + at * size_of(dtype));
}

}  // namespace

void upload(const ProgramSet& set, backend::Device& device, ir::Arena arena, std::int64_t begin,
            std::span<const float> values, DType dtype) {
  std::vector<std::byte> stored(dtype == DType::F32 ? 0 : std::min(kPiece, values.size()) * size_of(dtype));
  in_pieces(set, arena, begin, values.size(), dtype, [&](std::size_t at, std::size_t count, void* to) {
    if (!stored.empty()) convert_from_float(&values[at], dtype, stored.data(), count);
    device.upload(to, stored.empty() ? static_cast<const void*>(&values[at]) : stored.data(), count * size_of(dtype));
  });
}

void download(const ProgramSet& set, backend::Device& device, ir::Arena arena, std::int64_t begin,
              std::span<float> values, DType dtype) {
  std::vector<std::byte> stored(dtype == DType::F32 ? 0 : std::min(kPiece, values.size()) * size_of(dtype));
  in_pieces(set, arena, begin, values.size(), dtype, [&](std::size_t at, std::size_t count, const void* from) {
    device.download(stored.empty() ? static_cast<void*>(&values[at]) : stored.data(), from, count * size_of(dtype));
    if (!stored.empty()) convert_to_float(stored.data(), dtype, &values[at], count);
  });
}

ShardPart shard_part(const plan::ParameterStorage& storage, int rank, const plan::Run& run) {
  const auto bucket = std::partition_point(storage.buckets.begin(), storage.buckets.end(),
                                           [&](const plan::Run& b) { return b.end <= run.begin; });
  LDMPI_CHECK(bucket != storage.buckets.end() && run.begin >= bucket->begin && run.end <= bucket->end,
              "elements {} to {} are not in one bucket", run.begin, run.end);
  const auto owned = storage.owned(static_cast<std::size_t>(bucket - storage.buckets.begin()), rank);
  const auto begin = std::max(run.begin, owned.begin);
  const auto end = std::min(run.end, owned.end);
  if (begin >= end) return {{run.begin, run.begin}, 0};
  // Every bucket before this one gave an equal part to each shard.
  return {{begin, end}, bucket->begin / storage.shards + begin - owned.begin};
}

std::vector<float> gather_bucket(const ProgramSet& set, backend::Device& device, comm::Communicator& communicator,
                                 ir::Arena arena, std::size_t bucket) {
  const auto& storage = set.storage();
  const auto& run = storage.buckets.at(bucket);
  const auto mine = storage.owned(bucket, communicator.rank());
  std::vector<float> values(static_cast<std::size_t>(mine.size()));
  download(set, device, arena, run.begin / storage.shards, values, DType::F32);
  const auto parts =
      communicator.gather({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)}, 0);
  values.clear();
  if (communicator.rank() != 0) return values;
  values.resize(static_cast<std::size_t>(run.size()));
  auto* to = reinterpret_cast<char*>(values.data());
  for (const auto& part : parts) to = std::copy(part.begin(), part.end(), to);
  return values;
}

}  // namespace ldmpi::exec
