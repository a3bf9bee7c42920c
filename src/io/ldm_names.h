#pragma once
// The two naming schemes of a U-Net's tensors: diffusers' state-dict names, and those of single-file (LDM) checkpoints.

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ldmpi::io {

/// Begin of every U-Net name in a single-file checkpoint.
inline constexpr std::string_view kLdmPrefix = "model.diffusion_model.";

/// What the translation needs to know of a U-Net.
struct LdmLayout {
  int blocks = 0;                  ///< levels: number of block_out_channels
  int layers_per_block = 0;        ///< resnets of a down block (an up block has one more)
  std::vector<bool> up_attention;  ///< [blocks]: up block b has attention

  friend bool operator==(const LdmLayout&, const LdmLayout&) = default;
};

/// Translates names one-to-one, for example
/// "down_blocks.0.resnets.0.norm1.weight" <-> "model.diffusion_model.input_blocks.1.0.in_layers.0.weight".
class LdmNames {
 public:
  explicit LdmNames(const LdmLayout& layout);

  /// The LDM name of a diffusers name and the reverse; nothing for a name that such a U-Net does not have.
  [[nodiscard]] std::optional<std::string> to_ldm(std::string_view diffusers_name) const;
  [[nodiscard]] std::optional<std::string> to_diffusers(std::string_view ldm_name) const;

 private:
  struct Module {
    std::string other;          ///< its name in the other scheme
    bool has_children = false;  ///< what follows may be any path (the same in both schemes), else .weight or .bias
  };
  using Table = std::unordered_map<std::string, Module>;

  void add(const std::string& diffusers, const std::string& ldm, bool has_children = false);
  void add_resnet(const std::string& diffusers, const std::string& ldm);
  [[nodiscard]] static std::optional<std::string> translate(const Table& table, std::string_view name);

  Table to_ldm_;
  Table to_diffusers_;
};

/// Reads the layout off the tensor names of a single-file checkpoint (names without the prefix are ignored).
/// Nothing if they are not those of a U-Net.
[[nodiscard]] std::optional<LdmLayout> ldm_layout_of(std::span<const std::string> names);

}  // namespace ldmpi::io
