#pragma once
// RUN/final: the trained model as a folder that diffusers reads.

#include <filesystem>

#include "train/run_model.h"
#include "train/run_state.h"

namespace ldmpi::train {

/// The small files that stand beside the weights in checkpoints and in RUN/final, by relative path.
[[nodiscard]] std::map<std::string, std::string> model_texts(const RunModel& model, const SamplingFacts& facts,
                                                             bool average);

/// Writes `folder` atomically, replacing an older one: unet (the average if there is one), scheduler, ldmpi.json,
/// model_index.json, and the other parts of the pipeline that training began from. Rank 0 writes; collective.
void write_final_model(const std::filesystem::path& folder, const RunModel& model, const SamplingFacts& facts,
                       const StateAccess& access);

}  // namespace ldmpi::train
