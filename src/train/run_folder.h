#pragma once
// The layout of a run folder, and how it is prepared.

#include <filesystem>

namespace ldmpi::train {

/// The places in RUN.
class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path root) : root_(std::move(root)) {}

  [[nodiscard]] const std::filesystem::path& root() const noexcept { return root_; }
  [[nodiscard]] std::filesystem::path config() const { return root_ / "config.cfg"; }
  [[nodiscard]] std::filesystem::path metrics() const { return root_ / "metrics.jsonl"; }
  [[nodiscard]] std::filesystem::path prometheus() const { return root_ / "metrics.prom"; }
  [[nodiscard]] std::filesystem::path report() const { return root_ / "report.html"; }
  [[nodiscard]] std::filesystem::path tensorboard() const { return root_ / "tensorboard"; }
  [[nodiscard]] std::filesystem::path logs() const { return root_ / "logs"; }
  [[nodiscard]] std::filesystem::path samples() const { return root_ / "samples"; }
  [[nodiscard]] std::filesystem::path checkpoints() const { return root_ / "checkpoints"; }
  [[nodiscard]] std::filesystem::path final_model() const { return root_ / "final"; }
  [[nodiscard]] std::filesystem::path lock() const { return root_ / "LOCK"; }
  /// logs/rank-00003.log
  [[nodiscard]] std::filesystem::path rank_log(int rank) const;
  /// logs/draws-rank-00003.tsv
  [[nodiscard]] std::filesystem::path draw_log(int rank) const;
  /// True if an earlier job left a configuration, metrics or checkpoints here.
  [[nodiscard]] bool is_used() const;

 private:
  std::filesystem::path root_;
};

/// Creates RUN and its logs, samples, checkpoints and tensorboard folders where they are missing and makes sure that
/// files can be created in each. Errors: NoPermission or CannotCreate with path, reason, and who owns the folder.
RunFolder prepare_run_folder(const std::filesystem::path& root);

}  // namespace ldmpi::train
