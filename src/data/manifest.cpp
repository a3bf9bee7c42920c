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

Shape shape_from(const Json& json, std::size_t rank) {
  const auto extents = json.get<std::vector<std::int64_t>>();
  require(extents.size() == rank &&
              std::ranges::all_of(extents, [](auto extent) { return extent > 0 && extent < (1 << 30); }),
          Exit::BadData, "a shape must be {} positive numbers", rank);
  return Shape(std::span(extents));
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
  shard.bytes = json.at("bytes").get<std::uint64_t>();
  shard.file_crc = json.at("file_crc32c").get<std::uint32_t>();
  ShardFacts& facts = shard.facts;
  facts.samples = json.at("samples").get<std::uint64_t>();
  require(facts.samples > 0 && facts.samples <= shard.bytes, Exit::BadData, "{} samples in {} bytes", facts.samples,
          shard.bytes);
  facts.latent_type = dtype_from(json.at("latent_type"));
  facts.moments = json.at("moments").get<bool>();
  facts.latent = shape_from(json.at("latent"), 3);
  facts.prompt_type = dtype_from(json.at("prompt_type"));
  facts.prompts = json.at("prompts").get<std::uint64_t>();
  facts.context = shape_from(json.at("context"), 2);
  facts.pooled_width = json.at("pooled_width").get<std::int64_t>();
  require(facts.pooled_width >= 0, Exit::BadData, "pooled_width is negative");
  facts.time_ids = json.at("time_ids").get<bool>();
  facts.scaling_factor = json.at("scaling_factor").get<double>();
  facts.shift = json.at("shift").get<double>();
  facts.codec = json.at("codec").get<std::string>();
  facts.text_encoder = json.at("text_encoder").get<std::string>();
  facts.content_crc = json.at("content_crc32c").get<std::uint32_t>();
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
  const Json document = io::read_json(path);
  try {
    require(document.at("format").get<std::string>() == kFormat, Exit::BadData, "'format' is not \"{}\"", kFormat);
    require(document.at("format_version").get<int>() == kVersion, Exit::BadData, "'format_version' is not {}",
            kVersion);
    require(document.at("checksum").get<std::uint32_t>() == checksum_of(document), Exit::BadData,
            "the checksum does not fit: the file was damaged or edited");
    Manifest manifest;
    for (const auto& entry : document.at("shards")) manifest.shards.push_back(shard_from(entry));
    require(std::ranges::is_sorted(manifest.shards, std::less_equal<>{}, &ManifestShard::file), Exit::BadData,
            "the shards are not in order of name, or one is named twice");
    return manifest;
  } catch (const Json::exception& error) {
    fail(Exit::BadData, "{}: {}. Make it anew: ldmpi-data verify --write_manifest", path.string(), error.what());
  } catch (const Error& error) {
    fail(error.code(), "{}: {}. Make it anew: ldmpi-data verify --write_manifest", path.string(), error.what());
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
