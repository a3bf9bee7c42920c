#pragma once
// What a training job is made of before its first step: model, data, programs. Needs no device until bind().

#include <memory>
#include <optional>
#include <vector>

#include "backend/kernel.h"
#include "comm/communicator.h"
#include "config/config.h"
#include "data/dataset.h"
#include "exec/program_set.h"
#include "train/parameter_io.h"
#include "train/run_model.h"
#include "train/step_graph.h"

namespace ldmpi::train {

/// Micro-batches of validation have this size at any rank count, so that their losses are equal to the bit.
inline constexpr std::int64_t kValidationBatch = 8;

/// Pictures of samples during training are drawn in batches of this size at any rank count, for the same reason; small,
/// so that many ranks have something to do.
inline constexpr std::int64_t kSampleBatch = 2;

/// The compute type of a precision (tf32 computes on f32 values).
[[nodiscard]] DType compute_type(config::Precision precision);

/// Programs of one latent shape.
struct BucketPrograms {
  int step = -1, first = -1, middle = -1, last = -1;
};

class Job {
 public:
  /// Opens model and data and writes the programs; `config` is resolved and gets the model's objective written back.
  /// Errors: MissingInput, BadData, BadConfig. Every rank may fail on its own.
  Job(config::TrainConfig& config, const backend::Lowering& lowering, int rank, int ranks);

  [[nodiscard]] const RunModel& model() const noexcept { return model_; }
  [[nodiscard]] const data::Dataset& dataset() const noexcept { return *dataset_; }
  [[nodiscard]] const data::Dataset* validation_data() const noexcept { return validation_ ? &*validation_ : nullptr; }
  [[nodiscard]] const diffusion::Objective& objective() const noexcept { return objective_; }
  [[nodiscard]] const StepSpec& spec() const noexcept { return spec_; }
  [[nodiscard]] const ParameterIo& parameters() const noexcept { return *parameters_; }
  [[nodiscard]] exec::ProgramSet& programs() noexcept { return *programs_; }
  [[nodiscard]] const BucketPrograms& bucket(std::size_t index) const { return buckets_.at(index); }
  [[nodiscard]] int validation_program() const noexcept { return validation_program_; }
  /// Of predictions for kSampleBatch pictures; -1 without samples.every.
  [[nodiscard]] int sample_program() const noexcept { return sample_program_; }
  /// What samples are like: the validation data where there are any, else the training data; its first latent shape.
  [[nodiscard]] const data::Dataset& sample_data() const noexcept { return validation_ ? *validation_ : *dataset_; }
  /// Fingerprints that a resumed run must share: model, data.
  [[nodiscard]] std::map<std::string, std::string> fingerprints() const;

 private:
  void check_data(const data::Dataset& data, const std::string& path) const;
  void add_programs(const config::TrainConfig& config, const backend::Lowering& lowering);

  RunModel model_;
  std::optional<data::Dataset> dataset_;
  std::optional<data::Dataset> validation_;
  diffusion::Objective objective_;
  std::unique_ptr<nn::ParameterTable> table_;
  std::unique_ptr<ParameterIo> parameters_;
  StepSpec spec_;
  std::unique_ptr<exec::ProgramSet> programs_;
  std::vector<BucketPrograms> buckets_;
  int validation_program_ = -1;
  int sample_program_ = -1;
};

}  // namespace ldmpi::train
