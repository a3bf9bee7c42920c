#include "train/manifest.h"

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>

#include "base/check.h"
#include "base/crc32c.h"
#include "io/json_text.h"

namespace ldmpi::train {

namespace {

using nlohmann::json;

constexpr std::string_view kFormatName = "ldmpi checkpoint";
constexpr const char* kSelf = "manifest_crc32c";

/// Of the object without the checksum itself, keys in order: so that a damaged manifest is noticed as well.
std::uint32_t crc_of(const json& object) {
  const std::string text = object.dump(-1, ' ', false, json::error_handler_t::replace);
  return crc32c(std::as_bytes(std::span(text)));
}

/// A relative path that stays inside of its folder.
bool is_inner_path(const std::string& text) {
  const std::filesystem::path path = text;
  return !text.empty() && text.size() < 1024 && text.find('\0') == std::string::npos && path.is_relative() &&
         path.has_filename() && path != "." && *path.begin() != ".." && path.lexically_normal().string() == text;
}

class Fields {
 public:
  Fields(const json& object, std::string_view name) : object_(object), name_(name) {
    require(object.is_object(), Exit::BadData, "{} is not a checkpoint manifest: an object is expected", name);
  }
  [[nodiscard]] const json& at(const char* key) const {
    const auto found = object_.find(key);
    require(found != object_.end(), Exit::BadData, "{} is not a checkpoint manifest: \"{}\" is missing", name_, key);
    return *found;
  }
  template <typename T>
  [[nodiscard]] T number(const char* key) const {
    return number_of<T>(at(key), key);
  }
  template <typename T>
  [[nodiscard]] T number_of(const json& value, std::string_view key) const {
    require(value.is_number_unsigned() &&
                value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<T>::max()),
            Exit::BadData, "{} is not a checkpoint manifest: \"{}\" must be a whole number in range", name_, key);
    return value.get<T>();
  }

 private:
  const json& object_;
  std::string_view name_;
};

ManifestFile parse_file(const json& value, std::string_view name) {
  const Fields fields(value, name);
  ManifestFile file{
      .bytes = fields.number<std::uint64_t>("bytes"), .crc = fields.number<std::uint32_t>("crc32c"), .tensors = {}};
  if (const auto tensors = value.find("tensors"); tensors != value.end()) {
    require(tensors->is_object(), Exit::BadData, "{} is not a checkpoint manifest: \"tensors\" must be an object",
            name);
    for (const auto& [key, crc] : tensors->items())
      file.tensors.emplace(key, fields.number_of<std::uint32_t>(crc, key));
  }
  return file;
}

}  // namespace

std::string to_json(const Manifest& manifest) {
  json files = json::object();
  for (const auto& [path, file] : manifest.files) {
    json& entry = files[path] = {{"bytes", file.bytes}, {"crc32c", file.crc}};
    if (!file.tensors.empty()) entry["tensors"] = file.tensors;
  }
  json object = {{"format", kFormatName},
                 {"format_version", manifest.format},
                 {"program", manifest.program},
                 {"step", manifest.step},
                 {"seed", manifest.seed},
                 {"cursor", manifest.cursor},
                 {"world_size", manifest.world_size},
                 {"total_batch_size", manifest.total_batch_size},
                 {"files", std::move(files)}};
  object[kSelf] = crc_of(object);
  return object.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

Manifest parse_manifest(std::string_view text, std::string_view name) {
  json object = io::parse_json(text, name, {.depth = 8, .values = 1'000'000});
  const Fields fields(object, name);
  require(fields.at("format") == kFormatName, Exit::BadData, "{} is not a checkpoint manifest", name);
  const auto self = fields.number<std::uint32_t>(kSelf);
  object.erase(kSelf);
  require(crc_of(object) == self, Exit::BadData, "{} is damaged: it does not agree with its own CRC32C", name);
  Manifest manifest;
  manifest.format = fields.number<int>("format_version");
  require(
      manifest.format <= kCheckpointFormat, Exit::MissingInput,
      "{} has the checkpoint format {}, this program knows formats up to {}: a newer version of the program wrote it. "
      "Use that version, or move the folder away to continue from an older checkpoint",
      name, manifest.format, kCheckpointFormat);
  require(manifest.format >= 1, Exit::BadData, "{} has the unknown checkpoint format {}", name, manifest.format);
  const json& program = fields.at("program");
  require(program.is_string(), Exit::BadData, "{} is not a checkpoint manifest: \"program\" must be a text", name);
  manifest.program = program.get<std::string>();
  manifest.step = fields.number<std::int64_t>("step");
  manifest.seed = fields.number<std::uint64_t>("seed");
  manifest.cursor = fields.number<std::uint64_t>("cursor");
  manifest.world_size = fields.number<int>("world_size");
  manifest.total_batch_size = fields.number<std::int64_t>("total_batch_size");
  const json& files = fields.at("files");
  require(files.is_object(), Exit::BadData, "{} is not a checkpoint manifest: \"files\" must be an object", name);
  for (const auto& [path, value] : files.items()) {
    require(is_inner_path(path), Exit::BadData, "{} names {}, which is no file inside of the checkpoint", name,
            io::quoted_text(path));
    manifest.files.emplace(path, parse_file(value, name));
  }
  return manifest;
}

}  // namespace ldmpi::train
