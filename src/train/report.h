#pragma once
// `ldmpi report RUN`: a run as one self-contained HTML page (inline SVG, embedded pictures, no scripts).

#include <filesystem>
#include <string>

namespace ldmpi::train {

/// The page of a run folder: curves, phases, ranks and starts from metrics.jsonl, pictures from samples/*.png, the
/// configuration.
/// Whatever is missing or unreadable is left out with a note. Errors: MissingInput if `run` is not a run folder.
[[nodiscard]] std::string report_html(const std::filesystem::path& run);

/// report_html written atomically to `target`. Errors also: CannotCreate, NoPermission, IoError.
void write_report(const std::filesystem::path& run, const std::filesystem::path& target);

}  // namespace ldmpi::train
