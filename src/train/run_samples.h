#pragma once
// Pictures during training: fixed prompts, fixed noise, spread over the ranks, one grid per time.

#include <memory>

#include "train/job.h"
#include "train/metrics.h"
#include "train/sampling.h"

namespace ldmpi::train {

class RunSamples {
 public:
  /// Prepares prompts and noise levels for the job's sample program. The job must outlive it.
  /// Errors: BadConfig for prompts that cannot be encoded here, and for steps that the schedule cannot take.
  RunSamples(const config::SamplesConfig& config, Job& job);

  /// Draws with the weights that are trained now, and writes folder/step-00000500.png, or a .safetensors of latents
  /// where they cannot be decoded, and the picture into `metrics` (rank 0; null elsewhere). Equal weights make equal
  /// files at any number of ranks. Nothing that training reads is changed. What cannot be written is warned of.
  /// Collective.
  void draw(std::int64_t step, comm::Communicator& communicator, const std::filesystem::path& folder,
            Metrics* metrics);

 private:
  [[nodiscard]] std::vector<float> draw_batch(std::size_t batch);
  void write(std::int64_t step, std::vector<float> latents, const std::filesystem::path& folder, double seconds,
             Metrics* metrics) const;

  Job& job_;
  Drawing drawing_;
  std::unique_ptr<data::Codec> codec_;
  std::size_t count_ = 0;  // of pictures
  Conditions with_;        // of all of them
  Conditions without_;     // of one batch
};

}  // namespace ldmpi::train
