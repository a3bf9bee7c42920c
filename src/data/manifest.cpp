#include "data/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/crc32c.h"
#include "io/atomic_file.h"
#include "io/json_text.h"

namespace ldmpi::data {
namespace {

using Json = nlohmann::json;

constexpr const char* kFormat = "ldmpi-manifest";
constexpr int kVersion = 1;

Json to_json(const Shape& shape) {
  return Json(std::vector<std::int64_t>(shape.extents().begin(), shape.extents().end()));
}

/// A whole number of 0 .. most.
std::uint64_t whole(const Json& json, const char* name, std::uint64_t most) {
  const Json& value = json.at(name);
  require(value.is_number_unsigned() && value.get<std::uint64_t>() <= most, Exit::BadData,
          "'{}' must be a whole number of 0 to {}", name, most);
  return value.get<std::uint64_t>();
}

/// `rank` positive extents, together at most 2^40 elements.
Shape shape_from(const Json& json, const char* name, std::size_t rank) {
  constexpr double kMostElements = 1LL << 40;
  const Json& value = json.at(name);
  bool good = value.is_array() && value.size() == rank;
  std::vector<std::int64_t> extents;
  double count = 1;
  for (std::size_t axis = 0; good && axis < rank; ++axis) {
    good = value[axis].is_number_unsigned() && value[axis].get<double>() >= 1;
    if (!good) break;
    count *= value[axis].get<double>();
    good = count <= kMostElements;
    if (good) extents.push_back(value[axis].get<std::int64_t>());
  }
  require(good, Exit::BadData, "'{}' must be {} positive numbers", name, rank);
  return Shape(std::span(std::as_const(extents)));
}

DType dtype_from(const Json& json) {
  const auto dtype = dtype_from_name(json.get<std::string>());
  require(dtype == DType::F16 || dtype == DType::F32, Exit::BadData, "a type must be f16 or f32");
  return *dtype;
}

Json to_json(const ManifestShard& shard) {
  const ShardFacts& facts = shard.facts;
  return {{"file", shard.file},
          {"bytes", shard.bytes},
          {"file_crc32c", shard.file_crc},
          {"samples", facts.samples},
          {"latent_type", name_of(facts.latent_type)},
          {"moments", facts.moments},
          {"latent", to_json(facts.latent)},
          {"prompt_type", name_of(facts.prompt_type)},
          {"prompts", facts.prompts},
          {"context", to_json(facts.context)},
          {"pooled_width", facts.pooled_width},
          {"time_ids", facts.time_ids},
          {"scaling_factor", facts.scaling_factor},
          {"shift", facts.shift},
          {"codec", facts.codec},
          {"text_encoder", facts.text_encoder},
          {"content_crc32c", facts.content_crc},
          {"statistics",
           {{"mean", shard.statistics.mean},
            {"std", shard.statistics.deviation},
            {"min", shard.statistics.smallest},
            {"max", shard.statistics.largest}}}};
}

ManifestShard shard_from(const Json& json) {
  ManifestShard shard;
  shard.file = json.at("file").get<std::string>();
  const std::filesystem::path name(shard.file);
  require(!shard.file.empty() && name.filename() == name && shard.file != "." && shard.file != ".." &&
              shard.file.find('\0') == std::string::npos,
          Exit::BadData, "the file name \"{}\" is not a plain name", shard.file);
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 50;
  constexpr std::uint64_t kMostCrc = ~std::uint32_t{0};
  shard.bytes = whole(json, "bytes", kMostBytes);
  shard.file_crc = static_cast<std::uint32_t>(whole(json, "file_crc32c", kMostCrc));
  ShardFacts& facts = shard.facts;
  facts.samples = whole(json, "samples", shard.bytes);
  require(facts.samples > 0, Exit::BadData, "a shard without samples");
  facts.latent_type = dtype_from(json.at("latent_type"));
  facts.moments = json.at("moments").get<bool>();
  facts.latent = shape_from(json, "latent", 3);
  facts.prompt_type = dtype_from(json.at("prompt_type"));
  facts.prompts = whole(json, "prompts", shard.bytes);
  facts.context = shape_from(json, "context", 2);
  facts.pooled_width = static_cast<std::int64_t>(whole(json, "pooled_width", 1 << 20));
  facts.time_ids = json.at("time_ids").get<bool>();
  facts.scaling_factor = json.at("scaling_factor").get<double>();
  facts.shift = json.at("shift").get<double>();
  facts.codec = json.at("codec").get<std::string>();
  facts.text_encoder = json.at("text_encoder").get<std::string>();
  facts.content_crc = static_cast<std::uint32_t>(whole(json, "content_crc32c", kMostCrc));
  const Json& statistics = json.at("statistics");
  shard.statistics = {statistics.at("mean").get<double>(), statistics.at("std").get<double>(),
                      statistics.at("min").get<double>(), statistics.at("max").get<double>()};
  return shard;
}

/// Of everything but the checksum itself, in nlohmann's canonical text (sorted keys, shortest numbers).
std::uint32_t checksum_of(Json document) {
  document.erase("checksum");
  const std::string text = document.dump();
  return crc32c(std::as_bytes(std::span(text)));
}

}  // namespace

std::optional<Manifest> read_manifest(const std::filesystem::path& folder) {
  const auto path = folder / kManifestName;
  if (!std::filesystem::exists(path)) return std::nullopt;
  return parse_manifest(io::read_json(path), path.string());
}

Manifest parse_manifest(const Json& document, std::string_view origin) {
  try {
    require(document.at("format").get<std::string>() == kFormat, Exit::BadData, "'format' is not \"{}\"", kFormat);
    require(document.at("format_version").get<std::int64_t>() == kVersion, Exit::BadData, "'format_version' is not {}",
            kVersion);
    require(document.at("checksum") == checksum_of(document), Exit::BadData,
            "the checksum does not fit: the file was damaged or edited");
    Manifest manifest;
    for (const auto& entry : document.at("shards")) manifest.shards.push_back(shard_from(entry));
    require(std::ranges::is_sorted(manifest.shards, std::less_equal<>{}, &ManifestShard::file), Exit::BadData,
            "the shards are not in order of name, or one is named twice");
    return manifest;
  } catch (const Json::exception& error) {
    fail(Exit::BadData, "{}: {}. Make it anew: ldmpi-data verify --write_manifest", origin, error.what());
  } catch (const Error& error) {
    fail(error.code(), "{}: {}. Make it anew: ldmpi-data verify --write_manifest", origin, error.what());
  }
}

void write_manifest(const std::filesystem::path& folder, const Manifest& manifest) {
  Json document = {{"format", kFormat}, {"format_version", kVersion}, {"shards", Json::array()}};
  std::uint64_t samples = 0;
  for (const auto& shard : manifest.shards) {
    document["shards"].push_back(to_json(shard));
    samples += shard.facts.samples;
  }
  document["samples"] = samples;
  document["checksum"] = checksum_of(document);
  io::write_file_atomically(folder / kManifestName, document.dump(1) + "\n");
}

std::vector<std::filesystem::path> shard_files(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().extension() == ".h5") files.push_back(at->path());
  if (error) io::fail_errno("list", folder, error.value());
  std::ranges::sort(files);
  return files;
}

}  // namespace ldmpi::data
