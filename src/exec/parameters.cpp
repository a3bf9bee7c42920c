#include "exec/parameters.h"

#include <algorithm>

namespace ldmpi::exec {

void ParameterBorder::read(int block, std::span<const float> flat, std::span<float> canonical) const {
  const auto& view = blocks_.at(static_cast<std::size_t>(block));
  lowering_.unpack(view.shape,
                   flat.subspan(static_cast<std::size_t>(view.run.begin), static_cast<std::size_t>(view.run.size())),
                   canonical);
}

void ParameterBorder::write(int block, std::span<const float> canonical, std::span<float> flat) const {
  const auto& view = blocks_.at(static_cast<std::size_t>(block));
  lowering_.pack(view.shape, canonical,
                 flat.subspan(static_cast<std::size_t>(view.run.begin), static_cast<std::size_t>(view.run.size())));
}

std::vector<float> download_arena(const ProgramSet& set, backend::Device& device, ir::Arena arena,
                                  std::int64_t elements, DType dtype) {
  std::vector<float> flat(static_cast<std::size_t>(elements));
  if (flat.empty()) return flat;
  if (dtype == DType::F32) {
    device.download(flat.data(), set.arena(arena), flat.size() * sizeof(float));
  } else {
    std::vector<std::byte> stored(flat.size() * size_of(dtype));
    device.download(stored.data(), set.arena(arena), stored.size());
    convert_to_float(stored.data(), dtype, flat.data(), flat.size());
  }
  return flat;
}

void upload_arena(const ProgramSet& set, backend::Device& device, ir::Arena arena, std::span<const float> flat,
                  DType dtype) {
  if (flat.empty()) return;
  if (dtype == DType::F32) {
    device.upload(set.arena(arena), flat.data(), flat.size_bytes());
  } else {
    std::vector<std::byte> stored(flat.size() * size_of(dtype));
    convert_from_float(flat.data(), dtype, stored.data(), flat.size());
    device.upload(set.arena(arena), stored.data(), stored.size());
  }
}

std::vector<float> gather_shards(const plan::ParameterStorage& storage, comm::Communicator& communicator,
                                 std::span<const float> mine) {
  if (storage.shards == 1)
    return communicator.rank() == 0 ? std::vector<float>(mine.begin(), mine.end()) : std::vector<float>{};
  const bool root = communicator.rank() == 0;
  std::vector<float> full(root ? static_cast<std::size_t>(storage.trainable) : 0);
  std::vector<float> all;
  std::size_t local = 0;
  for (const auto& bucket : storage.buckets) {
    const auto part = static_cast<std::size_t>(bucket.size() / storage.shards);
    all.resize(static_cast<std::size_t>(bucket.size()));
    communicator.all_gather(std::as_bytes(mine.subspan(local, part)), std::as_writable_bytes(std::span(all)));
    if (root) std::copy(all.begin(), all.end(), full.begin() + bucket.begin);
    local += part;
  }
  return full;
}

std::vector<float> take_shard(const plan::ParameterStorage& storage, int rank, std::span<const float> full) {
  if (storage.shards == 1) return {full.begin(), full.begin() + storage.trainable};
  std::vector<float> mine;
  mine.reserve(static_cast<std::size_t>(storage.shard_elements()));
  for (std::size_t b = 0; b < storage.buckets.size(); ++b) {
    const auto run = storage.owned(b, rank);
    mine.insert(mine.end(), full.begin() + run.begin, full.begin() + run.end);
  }
  return mine;
}

}  // namespace ldmpi::exec
