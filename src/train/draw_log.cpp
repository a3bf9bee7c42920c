#include "train/draw_log.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "base/rng.h"

namespace ldmpi::train {

DrawLog::DrawLog(std::filesystem::path file, std::uint64_t seed, std::int64_t timesteps)
    : path_(std::move(file)), seed_(seed), timesteps_(timesteps), file_(path_, std::ios::app) {
  require(file_.is_open(), Exit::CannotCreate,
          "cannot open {} for log.draws: make its folder writable, or set log.draws off", path_.string());
}

void DrawLog::add(std::int64_t step, const data::Batch& batch) {
  for (std::size_t row = 0; row < batch.draws.size(); ++row) {
    const auto index = batch.draws[row];
    // As the ops RandomTimesteps and RandomNormal define them (ir/ops/diffusion.h).
    const double uniform = double{Draw{seed_, Purpose::Timestep, index}.uniform(0)};
    const auto timestep =
        std::min(timesteps_ - 1, static_cast<std::int64_t>(static_cast<double>(timesteps_) * uniform));
    const auto noise = std::bit_cast<std::uint32_t>(Draw{seed_, Purpose::Noise, index}.normal(0));
    file_ << fmt::format("{}\t{}\t{}\t{}\t{}\t{:08x}\n", step, index - batch.cursor, batch.sample_ids[row], index,
                         timestep, noise);
  }
  file_.flush();
  require(file_.good(), Exit::IoError, "cannot write {}: make room, or set log.draws off", path_.string());
}

}  // namespace ldmpi::train
