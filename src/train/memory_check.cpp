#include "train/memory_check.h"

#include <algorithm>
#include <array>

#include "comm/agree.h"
#include "plan/report.h"
#include "train/job.h"
#include "train/tensor_stream.h"

namespace ldmpi::train {
namespace {

// What each rank tells the others.
struct Demand {
  std::int64_t planned = 0;
  std::int64_t free = 0;
  std::int64_t shared = 0;  // 1: `free` is for all ranks of the host together
};

}  // namespace

std::int64_t rank_bytes(const exec::ProgramSet& programs, const ParameterIo& parameters, bool on_host) {
  return programs.total_bytes() + (on_host ? staging_bytes(parameters) : 0);
}

void check_memory(const backend::Device& device, comm::Communicator& communicator, std::int64_t planned_bytes,
                  const std::function<std::string(std::int64_t)>& advice) {
  const auto free = device.free_memory();
  const Demand mine{planned_bytes, free.bytes, free.of_host ? 1 : 0};
  std::vector<Demand> all(static_cast<std::size_t>(communicator.size()));
  communicator.all_gather(std::as_bytes(std::span(&mine, 1)), std::as_writable_bytes(std::span(all)));
  const auto& hosts = communicator.hosts();
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    std::int64_t needed = 0;
    std::int64_t available = all[rank].free;
    std::int64_t sharing = 0;
    for (std::size_t other = 0; other < all.size(); ++other) {
      if (other != rank && (all[rank].shared == 0 || hosts[other] != hosts[rank])) continue;
      needed += all[other].planned;
      available = std::min(available, all[other].free);
      ++sharing;
    }
    if (needed <= available) continue;
    const auto text = communicator.rank() == 0 ? advice(available / sharing) : std::string();
    throw comm::AgreedError(
        Exit::NoDevice,
        fmt::format("not enough memory on {}: {} rank{} there need{} {}, and {} are free. {}. Less is needed also with "
                    "model.recompute_mib, with optimizer.shard on, or with fewer ranks on a host",
                    hosts[rank], sharing, sharing == 1 ? "" : "s", sharing == 1 ? "s" : "", plan::bytes_text(needed),
                    plan::bytes_text(available), communicator.broadcast_text(text, 0)));
  }
}

std::string batch_advice(const config::TrainConfig& config, const backend::Lowering& lowering, int ranks, bool on_host,
                         std::int64_t bytes) {
  const std::int64_t per_rank = *config.total_batch_size / ranks;
  std::vector<std::int64_t> sizes;  // that come out even, below the present one
  for (std::int64_t size = 1; size < *config.batch_size; ++size)
    if (per_rank % size == 0) sizes.push_back(size);
  const auto fits = [&](std::int64_t size) {
    auto smaller = config;
    smaller.batch_size = size;
    smaller.accumulation = per_rank / size;
    Job job(smaller, lowering, 0, ranks);
    return rank_bytes(job.programs(), job.parameters(), on_host) <= bytes;
  };
  // Memory grows with the batch.
  const auto end = std::partition_point(sizes.begin(), sizes.end(), fits);
  if (end == sizes.begin()) return fmt::format("Not even batch_size 1 fits into {} of a rank", plan::bytes_text(bytes));
  const std::int64_t size = *(end - 1);
  return fmt::format("What fits is --batch_size {} --accumulation {}, which keeps total_batch_size {}", size,
                     per_rank / size, *config.total_batch_size);
}

}  // namespace ldmpi::train
