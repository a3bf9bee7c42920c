#pragma once
// Parameters by name: between diffusers' tensors and flat fp32 copies of the parameter arenas in storage order.

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

  /// A tensor out of, or into, a flat copy that covers its block. Elements in the entry's row-major order.
  void read(const nn::ParameterEntry& entry, std::span<const float> flat, std::span<float> out) const;
  void write(const nn::ParameterEntry& entry, std::span<const float> values, std::span<float> flat) const;

  /// storage().total elements: initial values by seed.
  [[nodiscard]] std::vector<float> initial(std::uint64_t seed) const;
  /// storage().total elements: the tensors of a weight source, every one present with its shape.
  /// Throws Error(BadData) listing missing, superfluous and misshapen tensors.
  [[nodiscard]] std::vector<float> load(const io::WeightSource& source) const;

 private:
  const nn::ParameterTable& table_;
  const backend::Lowering& lowering_;
  plan::ParameterStorage storage_;
};

}  // namespace ldmpi::train
