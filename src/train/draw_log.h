#pragma once
// The record of what each row of a batch was: the proof that the sequence of samples, timesteps and noise does not
// depend on the number of ranks.

#include <filesystem>
#include <fstream>

#include "data/batch_reader.h"

namespace ldmpi::train {

/// Name of a rank's log up to its number (RunFolder::draw_log).
inline constexpr const char* kDrawLogPrefix = "draws-rank-";

/// The lines of one rank in a file of its own: step, position in the global batch, sample id, draw, timestep, bits of
/// the first noise value (hexadecimal), separated by tabs. The files of all ranks, merged and sorted by the first two
/// columns, are equal at any number of ranks.
class DrawLog {
 public:
  /// `seed` and `timesteps` as in the objective. Appends to `file`. Errors: CannotCreate.
  DrawLog(std::filesystem::path file, std::uint64_t seed, std::int64_t timesteps);

  /// Adds the rows of a micro-batch that belongs to `step` (the first is 1). Errors: IoError.
  void add(std::int64_t step, const data::Batch& batch);

 private:
  std::filesystem::path path_;
  std::uint64_t seed_;
  std::int64_t timesteps_;
  std::ofstream file_;
};

/// Removes the lines of steps behind `step`, and torn ones, from the logs of all ranks in the folder: a resumed run
/// writes them again, at any number of ranks. Errors: NoPermission, CannotCreate, IoError.
void drop_draws_after(const std::filesystem::path& logs, std::int64_t step);

}  // namespace ldmpi::train
