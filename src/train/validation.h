#pragma once
// The validation loss on fixed (sample, timestep, noise) triples: comparable over the run and equal at any rank count.

#include "train/job.h"

namespace ldmpi::train {

/// Mean loss over the first `samples` samples of the data (rounded down to whole validation batches, at least one),
/// with the trained weights. Collective.
[[nodiscard]] double validation_loss(Job& job, comm::Communicator& communicator, const data::Dataset& data,
                                     std::int64_t samples);

}  // namespace ldmpi::train
