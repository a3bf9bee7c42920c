#pragma once
// Latents as other programs store them: .npy, .npz (also the caches of kohya-ss/sd-scripts) and .safetensors.

#include <filesystem>
#include <string>
#include <vector>

#include "base/shape.h"

namespace ldmpi::data_tools {

struct LatentArray {
  std::string name;  ///< key in the file, empty for .npy
  Shape shape;       ///< [C,H,W] or [N,C,H,W]
  std::vector<float> values;
};

/// The latents of a file, in order of name. From an .npz and .safetensors: the keys `latents`, `latents_HxW`,
/// `moments`..., and with `flipped` also `latents_flipped...`; without such keys every array of 3 or 4 axes.
/// Errors: BadData (damaged, other types than f2/f4/f8, Fortran order), MissingInput, NoPermission.
[[nodiscard]] std::vector<LatentArray> read_latents(const std::filesystem::path& path, bool flipped);

}  // namespace ldmpi::data_tools
