#pragma once
// Parameters by name: between diffusers' tensors and the blocks that the arenas hold.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backend/kernel.h"
#include "io/weights.h"
#include "nn/parameter_table.h"
#include "plan/storage.h"

namespace ldmpi::train {

class ParameterIo {
 public:
  /// `bucket_bytes` of gradients of `gradient_type` are reduced at once; `shards` ranks share the optimizer state.
  ParameterIo(const nn::ParameterTable& table, const backend::Lowering& lowering, std::int64_t bucket_bytes,
              DType gradient_type, int shards);

  [[nodiscard]] const nn::ParameterTable& table() const noexcept { return table_; }
  [[nodiscard]] const plan::ParameterStorage& storage() const noexcept { return storage_; }

  /// Block indices in order of storage: the trainable ones, then, if asked for, the frozen ones.
  [[nodiscard]] std::vector<int> block_order(bool frozen_too) const;
  /// Where the block lies.
  [[nodiscard]] const plan::Run& run(int block) const { return storage_.blocks.at(static_cast<std::size_t>(block)); }
  /// The elements of the entry, if the arenas hold them in its own order one behind the other.
  [[nodiscard]] std::optional<plan::Run> plain_run(const nn::ParameterEntry& entry) const;

  /// A tensor out of, or into, the stored elements of its block. Values in the entry's row-major order.
  void unpack(const nn::ParameterEntry& entry, std::span<const float> stored, std::span<float> values) const;
  void pack(const nn::ParameterEntry& entry, std::span<const float> values, std::span<float> stored) const;

  /// Elements of the largest tensor, and of the largest block.
  [[nodiscard]] std::int64_t largest_tensor() const;
  [[nodiscard]] std::int64_t largest_block() const;

  /// Throws Error(BadData) listing missing, superfluous and misshapen tensors of a weight source.
  void check(const io::WeightSource& source) const;

 private:
  const nn::ParameterTable& table_;
  const backend::Lowering& lowering_;
  plan::ParameterStorage storage_;
};

}  // namespace ldmpi::train
