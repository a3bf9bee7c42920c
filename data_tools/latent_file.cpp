#include "latent_file.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "archive.h"
#include "base/check.h"
#include "base/dtype.h"
#include "io/atomic_file.h"
#include "io/safetensors.h"

namespace ldmpi::data_tools {
namespace {

constexpr std::size_t kLargestFile = std::size_t{8} << 30;

/// The text after "'key':" in the header of an .npy file.
std::string_view field(std::string_view header, std::string_view key, const std::string& where) {
  const auto at = header.find(fmt::format("'{}':", key));
  require(at != std::string_view::npos, Exit::BadData, "{}: npy header without '{}'", where, key);
  auto rest = header.substr(at + key.size() + 3);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return rest;
}

Shape parse_extents(std::string_view text, const std::string& where) {
  std::vector<std::int64_t> extents;
  const auto end = text.find(')');
  require(text.starts_with('(') && end != std::string_view::npos, Exit::BadData, "{}: npy header without a shape",
          where);
  for (std::size_t at = 1; at < end;) {
    if (text[at] < '0' || text[at] > '9') {
      ++at;
      continue;
    }
    std::int64_t extent = 0;
    const auto [rest, error] = std::from_chars(text.data() + at, text.data() + end, extent);
    require(error == std::errc{} && extent < (std::int64_t{1} << 32) && extents.size() < 4, Exit::BadData,
            "{}: npy header with an absurd shape", where);
    extents.push_back(extent);
    at = static_cast<std::size_t>(rest - text.data());
  }
  return Shape(std::span<const std::int64_t>(extents));
}

/// NumPy's format 1.0 to 3.0, little-endian floats in C order.
LatentArray parse_npy(std::span<const std::byte> bytes, std::string name, const std::string& where) {
  constexpr std::string_view kMagic = "\x93NUMPY";
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  require(text.starts_with(kMagic) && text.size() >= 12, Exit::BadData, "{} is not an npy file", where);
  const bool wide = text[6] >= 2;
  const auto byte = [&](std::size_t at) { return static_cast<std::size_t>(static_cast<unsigned char>(text[at])); };
  const std::size_t length = byte(8) | byte(9) << 8 | (wide ? byte(10) << 16 | byte(11) << 24 : 0);
  const std::size_t begin = wide ? 12 : 10;
  require(length <= text.size() - begin, Exit::BadData, "{} is truncated", where);
  const std::string_view header = text.substr(begin, length);
  const auto descr = field(header, "descr", where);
  const DType dtype = descr.starts_with("'<f2'") ? DType::F16 : descr.starts_with("'<f4'") ? DType::F32 : DType::F64;
  require(dtype != DType::F64 || descr.starts_with("'<f8'"), Exit::BadData, "{}: type {} is not <f2, <f4 or <f8", where,
          descr.substr(0, descr.find(',')));
  require(field(header, "fortran_order", where).starts_with("False"), Exit::BadData,
          "{}: Fortran order is not accepted; save numpy.ascontiguousarray(x)", where);
  LatentArray out;
  out.name = std::move(name);
  out.shape = parse_extents(field(header, "shape", where), where);
  const auto values = bytes.subspan(begin + length);
  std::size_t expected = size_of(dtype);
  for (const auto extent : out.shape.extents()) {
    require(extent > 0 && expected <= values.size() / static_cast<std::size_t>(extent), Exit::BadData,
            "{}: shape {} in {} bytes", where, out.shape.text(), values.size());
    expected *= static_cast<std::size_t>(extent);
  }
  require(values.size() == expected, Exit::BadData, "{}: shape {} in {} bytes", where, out.shape.text(), values.size());
  out.values.resize(static_cast<std::size_t>(out.shape.count()));
  std::vector<std::byte> aligned(values.begin(), values.end());
  convert_to_float(aligned.data(), dtype, out.values.data(), out.values.size());
  return out;
}

std::vector<LatentArray> read_npz(const std::filesystem::path& path) {
  std::vector<LatentArray> out;
  ArchiveReader archive(path);
  while (auto name = archive.next()) {
    if (!name->ends_with(".npy")) continue;
    name->resize(name->size() - 4);
    // kohya-ss keeps small integer arrays (original_size, crop_ltrb, alpha_mask) beside the latents.
    if (name->find("latent") == std::string::npos && name->find("moment") == std::string::npos) {
      if (name->starts_with("original_size") || name->starts_with("crop_ltrb") || name->starts_with("alpha_mask"))
        continue;
    }
    out.push_back(parse_npy(archive.content(kLargestFile), *name, path.string() + ":" + *name));
  }
  return out;
}

std::vector<LatentArray> read_safetensors(const std::filesystem::path& path) {
  std::vector<LatentArray> out;
  const io::SafetensorsFile file(path);
  for (const auto& tensor : file.tensors()) {
    if (tensor.shape.rank() != 3 && tensor.shape.rank() != 4) continue;
    LatentArray array{tensor.name, tensor.shape, std::vector<float>(static_cast<std::size_t>(tensor.shape.count()))};
    file.read_float(tensor, array.values);
    out.push_back(std::move(array));
  }
  return out;
}

}  // namespace

std::vector<LatentArray> read_latents(const std::filesystem::path& path, bool flipped) {
  const std::string extension = path.extension().string();
  std::vector<LatentArray> all;
  if (extension == ".npy")
    all.push_back(parse_npy(io::read_file(path, kLargestFile), "", path.string()));
  else if (extension == ".npz")
    all = read_npz(path);
  else if (extension == ".safetensors")
    all = read_safetensors(path);
  else
    fail(Exit::BadData, "{} is not an .npy, .npz or .safetensors file", path.string());

  const auto is_latents = [](const LatentArray& array) {
    return array.name.starts_with("latents") || array.name.starts_with("moments");
  };
  if (std::ranges::any_of(all, is_latents))
    std::erase_if(all, [&](const LatentArray& array) { return !is_latents(array); });
  if (!flipped) std::erase_if(all, [](const LatentArray& array) { return array.name.starts_with("latents_flipped"); });
  std::erase_if(all, [](const LatentArray& array) { return array.shape.rank() != 3 && array.shape.rank() != 4; });
  require(!all.empty(), Exit::BadData, "{} holds no array [C,H,W] or [N,C,H,W]", path.string());
  std::ranges::sort(all, {}, &LatentArray::name);
  return all;
}

}  // namespace ldmpi::data_tools
