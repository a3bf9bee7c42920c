#include "train/metrics_export.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "base/build_info.h"
#include "base/check.h"
#include "train/prometheus_text.h"

namespace ldmpi::train {
namespace {

struct ExportRow {
  std::string_view key, name, help;
  double scale = 1;
};

// Keys of the record under the names and base units that Prometheus asks for.
constexpr std::array<ExportRow, 10> kExportRows{{
    {"loss", "ldmpi_loss", "Training loss of the last step"},
    {"lr", "ldmpi_learning_rate", "Learning rate of the last step"},
    {"grad_norm", "ldmpi_gradient_norm", "Norm of the gradient before clipping"},
    {"samples_per_second", "ldmpi_samples_per_second", "Samples of all ranks per second"},
    {"tflops", "ldmpi_device_tflops", "TFLOP per second of one device"},
    {"peak_share", "ldmpi_peak_ratio", "Share of the peak of a device"},
    {"step_ms", "ldmpi_step_seconds", "Time of a step", 1e-3},
    {"epoch", "ldmpi_epoch", "Epoch of the data"},
    {"skipped_steps", "ldmpi_skipped_steps", "Updates left out because a gradient was not finite"},
    {"eta_s", "ldmpi_remaining_seconds", "Projected time to the end of the run"},
}};

constexpr std::array<ExportRow, 7> kExportPhases{{{"data_wait_ms", "data_wait", ""},
                                      {"data_ms", "data", ""},
                                      {"forward_ms", "forward", ""},
                                      {"backward_ms", "backward", ""},
                                      {"communicate_ms", "exposed_communication", ""},
                                      {"optimize_ms", "optimizer", ""},
                                      {"checkpoint_ms", "checkpoint", ""}}};

struct ExportRankRow {
  RankValue value;
  std::string_view name, help;
  double scale = 1;
  bool of_gpu = false;
};

constexpr std::array<ExportRankRow, kRankValues> kExportRankRows{{
    {RankValue::ComputeMs, "ldmpi_rank_compute_seconds", "Forward and backward of a step", 1e-3},
    {RankValue::DataWaitMs, "ldmpi_rank_data_wait_seconds", "Wait for data in a step", 1e-3},
    {RankValue::ResidentMib, "ldmpi_rank_resident_bytes", "Memory of the process", 1048576},
    {RankValue::GpuMemoryMib, "DCGM_FI_DEV_FB_USED", "Framebuffer memory used in MiB", 1, true},
    {RankValue::GpuUtilisation, "DCGM_FI_DEV_GPU_UTIL", "GPU utilization in percent", 1, true},
    {RankValue::GpuPowerW, "DCGM_FI_DEV_POWER_USAGE", "Power draw in W", 1, true},
    {RankValue::GpuTemperatureC, "DCGM_FI_DEV_GPU_TEMP", "GPU temperature in C", 1, true},
}};

}  // namespace

std::string prometheus_text(const RunFacts& facts, const PresentState& state) {
  Labels common{{"run", state.run}};
  if (!facts.job_id.empty()) common.emplace_back("job_id", facts.job_id);
  PrometheusText out(common);
  out.gauge("ldmpi_info", "Program and device", 1, {{"version", version()}, {"device", facts.device}});
  out.gauge("ldmpi_updated_timestamp_seconds", "When this was written", wall_seconds());
  out.gauge("ldmpi_step", "Optimizer steps done", static_cast<double>(state.step));
  out.gauge("ldmpi_last_step", "Optimizer steps of the whole run", static_cast<double>(facts.last_step));
  out.gauge("ldmpi_ranks", "Ranks of the job", static_cast<double>(facts.hosts.size()));
  out.gauge("ldmpi_restarts", "How often the run was resumed", state.restarts);
  out.gauge("ldmpi_rank_planned_bytes", "Memory of a rank by the plan", static_cast<double>(facts.planned_bytes));
  if (facts.job_end_seconds)
    out.gauge("ldmpi_job_end_timestamp_seconds", "When the batch system ends the job",
              static_cast<double>(*facts.job_end_seconds));
  const auto find = [&](std::string_view key) -> const double* {
    for (const auto& [name, value] : state.values)
      if (name == key) return &value;
    return nullptr;
  };
  for (const auto& row : kExportRows)
    if (const double* value = find(row.key)) out.gauge(row.name, row.help, *value * row.scale);
  for (const auto& phase : kExportPhases)
    if (const double* value = find(phase.key))
      out.gauge("ldmpi_phase_seconds", "Time of a step by phase", *value * 1e-3, {{"phase", std::string(phase.name)}});
  if (const auto found = state.events.find("validation_loss"); found != state.events.end())
    out.gauge("ldmpi_validation_loss", "Last validation loss", found->second);
  if (const auto found = state.events.find("checkpoint_step"); found != state.events.end())
    out.gauge("ldmpi_checkpoint_step", "Step of the last checkpoint", found->second);
  for (const auto& row : kExportRankRows)
    for (std::size_t rank = 0; rank < state.ranks.size(); ++rank) {
      const auto& host = rank < facts.hosts.size() ? facts.hosts[rank] : std::string();
      out.gauge(row.name, row.help, state.ranks[rank][static_cast<std::size_t>(row.value)] * row.scale,
                {{"rank", std::to_string(rank)}, {row.of_gpu ? "Hostname" : "host", host}});
    }
  return out.text();
}

void replace_file(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::path temporary = file;
  temporary += ".tmp";
  ::unlink(temporary.c_str());  // of a killed job
  const auto out = io::create_new(temporary);
  io::write_at(out, std::as_bytes(std::span(text)), 0, temporary);
  if (std::rename(temporary.c_str(), file.c_str()) != 0) io::fail_create("rename to", file, errno);
}

}  // namespace ldmpi::train
