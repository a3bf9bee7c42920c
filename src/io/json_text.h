#pragma once
// JSON from files that others wrote: strict, bounded, and with errors that name the file and the place.

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace ldmpi::io {

/// What untrusted text may contain at most.
struct JsonLimits {
  int depth = 32;                  ///< nesting of objects and arrays
  std::size_t values = 4'000'000;  ///< objects, arrays and scalars together
};

/// Parses UTF-8 JSON. Throws Error(BadData) with `name`, line and column for anything that is not exactly one JSON
/// value, for a key given twice in an object, and for text beyond the limits.
[[nodiscard]] nlohmann::json parse_json(std::string_view text, std::string_view name, const JsonLimits& limits = {});

/// Foreign text as a message may show it: at most 80 bytes, in quotes, ASCII with escapes.
[[nodiscard]] std::string quoted_text(std::string_view text);

/// read_text_file (at most 64 MiB) and parse_json.
[[nodiscard]] nlohmann::json read_json(const std::filesystem::path& path, const JsonLimits& limits = {});

}  // namespace ldmpi::io
