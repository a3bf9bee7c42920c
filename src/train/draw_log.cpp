#include "train/draw_log.h"

#include <algorithm>
#include <bit>
#include <charconv>

#include "base/check.h"
#include "base/rng.h"
#include "io/atomic_file.h"

namespace ldmpi::train {
namespace {

constexpr std::size_t kLongestLog = std::size_t{8} << 30;

}  // namespace

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

void drop_draws_after(const std::filesystem::path& logs, std::int64_t step) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(logs, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kDrawLogPrefix) || entry.path().extension() != ".tsv") continue;
    const std::string text = io::read_text_file(entry.path(), kLongestLog);
    std::size_t kept = 0;
    for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', kept)) {
      std::int64_t of_line = 0;
      const auto [stop, fault] = std::from_chars(text.data() + kept, text.data() + end, of_line);
      if (fault != std::errc{} || *stop != '\t' || of_line > step) break;  // the steps of a file ascend
      kept = end + 1;
    }
    if (kept != text.size()) io::write_file_atomically(entry.path(), text.substr(0, kept));
  }
}

}  // namespace ldmpi::train
