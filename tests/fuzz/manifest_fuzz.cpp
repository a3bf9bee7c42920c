// manifest.json: any JSON object, given the checksum that fits it, is refused as bad data or read.
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/check.h"
#include "base/crc32c.h"
#include "data/manifest.h"
#include "io/json_text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    nlohmann::json document = ldmpi::io::parse_json(text, "fuzz", {.depth = 32, .values = 10'000});
    if (document.is_object()) {
      document.erase("checksum");
      const std::string canonical = document.dump();
      document["checksum"] = ldmpi::crc32c(std::as_bytes(std::span(canonical)));
    }
    const auto manifest = ldmpi::data::parse_manifest(document, "fuzz");
    for (const auto& shard : manifest.shards)
      if (shard.file.find('/') != std::string::npos || shard.facts.latent.count() < 1) std::abort();
  } catch (const ldmpi::Error& error) {
    if (error.code() != ldmpi::Exit::BadData) std::abort();
  }
  return 0;
}
