#pragma once
// The parameters of a model: every tensor under its diffusers name, and the blocks in which they are stored.
// A block is what the arenas hold and one kernel reads; tensors that are used side by side share one, so that they run
// as one matrix product: Q,K,V of a self-attention; all text K,V; all time projections.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ir/builder.h"
#include "nn/unet_config.h"

namespace ldmpi::nn {

/// Initial values as PyTorch and diffusers choose them.
struct InitRule {
  enum class Kind : std::uint8_t { Constant, Uniform };
  Kind kind = Kind::Constant;
  float value = 0;  ///< the constant, or the bound b of U(-b, b)
};

/// One tensor of the state dict.
struct ParameterEntry {
  std::string name;  ///< "down_blocks.0.resnets.0.conv1.weight"
  Shape shape;       ///< diffusers' shape; 1x1 convolutions [O,I,1,1]
  int block = 0;
  std::int64_t row_offset = 0;  ///< first row (extent 0) inside the block; rows = shape[0]
  InitRule init;
};

/// One slot of the parameter arenas. Its canonical bytes are its entries one behind the other, each row-major.
struct ParameterBlock {
  std::string label;  ///< the entry's name, or for shared blocks "...attn1.to_qkv.weight", "attn2.to_kv.weight", ...
  Shape shape;        ///< [O,I,k,k] of k x k convolutions, [rows,columns] of linear ones (1x1 too), [n] of vectors
  bool trainable = true;     ///< the same for all its entries
  bool decay = true;         ///< weight decay applies (as torch's AdamW over all parameters)
  std::vector<int> entries;  ///< by rising row_offset
};

class ParameterTable {
 public:
  /// Blocks: the shared ones first (text K/V, time embedding, added embedding, time projections), then in order of
  /// first use. Entries whose name begins with one of `freeze` are not trainable; shared blocks are divided where their
  /// entries differ in that. Throws Error(BadConfig) for a prefix that no name begins with.
  explicit ParameterTable(const UnetConfig& config, std::span<const std::string> freeze = {});

  [[nodiscard]] const std::vector<ParameterEntry>& entries() const noexcept { return entries_; }
  [[nodiscard]] const std::vector<ParameterBlock>& blocks() const noexcept { return blocks_; }
  /// Index of the entry; -1 if there is none of that name.
  [[nodiscard]] int find(std::string_view name) const;
  [[nodiscard]] bool trainable(const ParameterEntry& entry) const;
  /// First element of the entry in its block's canonical bytes; the entry's elements are contiguous there.
  [[nodiscard]] std::int64_t element_offset(const ParameterEntry& entry) const;
  /// Elements of all entries; of the trainable ones.
  [[nodiscard]] std::int64_t parameter_count() const noexcept;
  [[nodiscard]] std::int64_t trainable_count() const noexcept;

 private:
  std::vector<ParameterEntry> entries_;
  std::vector<ParameterBlock> blocks_;
  std::unordered_map<std::string, int> index_;
};

/// Fills target (entry.shape.count() elements, row-major) with the entry's initial values: a pure function of seed,
/// name and element, equal on every machine.
void initial_values(const ParameterEntry& entry, std::uint64_t seed, std::span<float> target);
[[nodiscard]] std::vector<float> initial_values(const ParameterEntry& entry, std::uint64_t seed);

/// The parameters as values of one graph: blocks[i] is block i of the table, of the block's shape.
struct ParameterValues {
  const ParameterTable* table = nullptr;  ///< not owned
  ir::Values blocks;

  /// The value of the block that holds just this entry. Throws Error(Internal) for an unknown name or a shared block.
  [[nodiscard]] ir::Value get(std::string_view name) const;
};

/// One persistent slot of Arena::Weights per block, in table order; convolution weights in the backend's layout. The
/// table must outlive the result.
[[nodiscard]] ParameterValues make_parameters(const ir::Builder& b, const ParameterTable& table, DType dtype);

}  // namespace ldmpi::nn
