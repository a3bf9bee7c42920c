#pragma once
// RUN/metrics.prom: the present state of a run, for a monitoring system that collects files.

#include <filesystem>
#include <string>

#include "train/metrics.h"

namespace ldmpi::train {

/// The state in the text format of Prometheus. Values of GPUs have the names of NVIDIA's DCGM exporter.
[[nodiscard]] std::string prometheus_text(const RunFacts& facts, const PresentState& state);

/// Replaces the file by renaming: a reader sees the old or the new state. Not durable, the next one is seconds away.
/// Errors: CannotCreate, NoPermission, IoError.
void replace_file(const std::filesystem::path& file, const std::string& text);

}  // namespace ldmpi::train
