#pragma once
// Between the parameter arenas on the device and f32 on the host, a run of elements at a time: nobody needs a copy of a
// whole arena.

#include <cstdint>
#include <span>
#include <vector>

#include "exec/program_set.h"

namespace ldmpi::exec {

/// Writes, or reads, the elements from `begin` on of an arena that holds `dtype`. Other types than f32 go through a
/// small buffer.
void upload(const ProgramSet& set, backend::Device& device, ir::Arena arena, std::int64_t begin,
            std::span<const float> values, DType dtype);
void download(const ProgramSet& set, backend::Device& device, ir::Arena arena, std::int64_t begin,
              std::span<float> values, DType dtype);

/// What shard `rank` holds of a run of elements.
struct ShardPart {
  plan::Run run;           ///< in the full numbering; may be empty
  std::int64_t local = 0;  ///< where it begins in the sharded arenas
};
/// `run` lies within one bucket, as every trainable block does.
[[nodiscard]] ShardPart shard_part(const plan::ParameterStorage& storage, int rank, const plan::Run& run);

/// A bucket of a sharded arena in the full numbering, on rank 0 (empty elsewhere). Collective; ranks send only what
/// they own.
[[nodiscard]] std::vector<float> gather_bucket(const ProgramSet& set, backend::Device& device,
                                               comm::Communicator& communicator, ir::Arena arena, std::size_t bucket);

}  // namespace ldmpi::exec
