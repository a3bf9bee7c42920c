#pragma once
// Which checkpoints stay, and how the others go.

#include <filesystem>
#include <string>

namespace ldmpi::train {

/// Content of RUN/checkpoints/latest: the folder name of the newest complete checkpoint; empty if absent or malformed.
[[nodiscard]] std::string read_latest(const std::filesystem::path& checkpoints);

/// Replaces RUN/checkpoints/latest atomically. Errors: of io::write_file_atomically.
void write_latest(const std::filesystem::path& checkpoints, const std::string& folder_name);

/// Removes all but the `keep` newest checkpoints (keep >= 1) and never the one named in `latest`: renamed to
/// `.trash-<name>` first, so that no reader meets a half-removed one. What cannot be removed is logged and left.
void apply_retention(const std::filesystem::path& checkpoints, int keep);

/// Removes `.tmp-*` and `.trash-*`, which only a killed or failed job leaves. What cannot be removed is logged and
/// left.
void remove_leftovers(const std::filesystem::path& checkpoints);

}  // namespace ldmpi::train
