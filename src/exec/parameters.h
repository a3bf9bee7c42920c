#pragma once
// Parameters and optimizer state in and out of a program set, in the canonical form: one f32 tensor per name, in
// diffusers' shape. Layout, blocks and sharding end here.

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "exec/program_set.h"

namespace ldmpi::exec {

/// One block as the border sees it: its shape and where it lies.
struct BlockView {
  Shape shape;
  plan::Run run;  ///< elements in weights and gradients
};

/// Reads and writes blocks of flat, full-length host copies of the parameter arenas.
class ParameterBorder {
 public:
  ParameterBorder(const backend::Lowering& lowering, std::vector<BlockView> blocks)
      : lowering_(lowering), blocks_(std::move(blocks)) {}

  /// Elements of a block in canonical form.
  [[nodiscard]] std::int64_t count(int block) const {
    return blocks_.at(static_cast<std::size_t>(block)).shape.count();
  }
  /// Canonical elements of a block out of `flat`, the f32 copy of an arena.
  void read(int block, std::span<const float> flat, std::span<float> canonical) const;
  void write(int block, std::span<const float> canonical, std::span<float> flat) const;

 private:
  const backend::Lowering& lowering_;
  std::vector<BlockView> blocks_;
};

/// Full-length f32 copies on the host.
/// Weights or gradients of any dtype, converted.
[[nodiscard]] std::vector<float> download_arena(const ProgramSet& set, backend::Device& device, ir::Arena arena,
                                                std::int64_t elements, DType dtype);
void upload_arena(const ProgramSet& set, backend::Device& device, ir::Arena arena, std::span<const float> flat,
                  DType dtype);

/// Joins the shards of all ranks' copies of a sharded arena to the full numbering on rank 0 (empty elsewhere), bucket
/// by bucket. With one shard it is the rank's own copy.
[[nodiscard]] std::vector<float> gather_shards(const plan::ParameterStorage& storage, comm::Communicator& communicator,
                                               std::span<const float> mine);
/// The rank's own part of a full copy.
[[nodiscard]] std::vector<float> take_shard(const plan::ParameterStorage& storage, int rank,
                                            std::span<const float> full);

}  // namespace ldmpi::exec
