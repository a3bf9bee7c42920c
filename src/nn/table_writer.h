#pragma once
// Writes the parameter table of a model from the description of its modules.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nn/parameter_table.h"
#include "nn/structure.h"

namespace ldmpi::nn {

class TableWriter {
 public:
  /// Entries whose name begins with one of `freeze` are not trainable.
  explicit TableWriter(std::span<const std::string> freeze) : freeze_(freeze) {}

  /// All parameters of the U-Net, in the order that ParameterTable promises.
  void unet(const UnetConfig& config);

  [[nodiscard]] std::vector<ParameterEntry> take_entries() { return std::move(entries_); }
  [[nodiscard]] std::vector<ParameterBlock> take_blocks() { return std::move(blocks_); }

 private:
  /// A layer y = x W^T + b with W [out,in].
  struct Linear {
    std::string prefix;
    std::int64_t out = 0;
    std::int64_t in = 0;
    bool bias = true;
    bool convolution = false;  ///< diffusers has it as 1x1 convolution: W is [out,in,1,1] there
  };

  /// Layers of one input width side by side in one block of weights and one of biases, or in several such pairs where
  /// the layers differ in what is frozen.
  void shared(const std::string& label, const std::vector<Linear>& layers);
  void linear(const Linear& layer) { shared(layer.prefix, {layer}); }
  void conv3x3(const std::string& prefix, std::int64_t out, std::int64_t in);
  void norm(const std::string& prefix, std::int64_t channels);
  void resnet(const ResnetSpec& spec);
  void transformer(const TransformerSpec& spec, const UnetConfig& config);
  void transformer_block(const std::string& prefix, std::int64_t channels);

  [[nodiscard]] bool frozen(const std::string& name) const;
  /// Appends a block of these entries, which agree in all but extent 0.
  void block(std::string label, Shape columns, std::vector<ParameterEntry> entries);

  std::span<const std::string> freeze_;
  std::vector<ParameterEntry> entries_;
  std::vector<ParameterBlock> blocks_;
};

}  // namespace ldmpi::nn
