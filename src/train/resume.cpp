#include "train/resume.h"

#include "base/log.h"
#include "comm/agree.h"
#include "config/print.h"

namespace ldmpi::train {
namespace {

constexpr double kFirstLossScale = 65536;

void compare(const config::TrainConfig& config, const std::map<std::string, std::string>& fingerprints,
             const TrainState& saved) {
  const auto old_config = config::from_ini(saved.config, "the configuration in the checkpoint");
  const auto changes = config::diff(old_config, config);
  for (const auto& change : changes)
    log::info("changed since the checkpoint: {} {} -> {}", change.key, change.old_value, change.new_value);
  auto allowed = config.resume_allow;
  auto problems = config::refused(changes, allowed);
  std::string text;
  for (const auto& change : problems)
    text += fmt::format("\n  {}: {} -> {}", change.key, change.old_value, change.new_value);
  auto is_allowed = [&](std::string_view key) {
    return std::find(allowed.begin(), allowed.end(), key) != allowed.end();
  };
  for (const auto& [name, value] : fingerprints) {
    const auto found = saved.fingerprints.find(name);
    if (found != saved.fingerprints.end() && found->second != value && !is_allowed(name + ".path") &&
        !is_allowed(name + ".config"))
      text += fmt::format("\n  {}: the content is not the same as at the checkpoint", name);
  }
  require(text.empty(), Exit::BadConfig,
          "this is not the run that the checkpoint of step {} belongs to:{}\nUse the earlier values, another "
          "--output_dir, or allow a change with --resume.allow and the option's name (for other content: data.path, "
          "model.path or model.config)",
          saved.step, text);
}

}  // namespace

TrainState prepare_resume(const config::TrainConfig& config, const std::map<std::string, std::string>& fingerprints,
                          bool reads, const RunFolder& folder, std::unique_ptr<CheckpointReader>& newest) {
  TrainState state;
  state.seed = config.seed;
  state.total_batch_size = *config.total_batch_size;
  state.fingerprints = fingerprints;
  state.loss_scale = config.precision == config::Precision::Fp16 ? kFirstLossScale : 1.0;
  if (!reads) return state;
  newest = open_newest_checkpoint(folder.checkpoints());
  require(newest != nullptr || config.resume != config::Resume::Must, Exit::MissingInput,
          "--resume must, but {} holds no checkpoint", folder.checkpoints().string());
  if (newest) {
    compare(config, fingerprints, newest->state());
    log::info("resuming behind step {} from {}", newest->state().step, newest->folder().string());
  }
  return state;
}

TrainState load_state(const StateAccess& access, const Job& job, const config::TrainConfig& config,
                      const CheckpointReader* newest, TrainState fresh) {
  auto& communicator = access.communicator;
  TrainState state = std::move(fresh);
  if (communicator.all_reduce_max(std::int64_t{newest != nullptr}) != 0) {
    auto saved = restore(access, newest);
    saved.fingerprints = state.fingerprints;
    ++saved.restarts;
    state = std::move(saved);
  } else {
    std::vector<float> flat;
    if (job.model().weights) {
      // One rank reads, the file system is spared.
      flat = comm::agree(communicator, [&] {
        return communicator.rank() == 0
                   ? access.parameters.load(*job.model().weights)
                   : std::vector<float>(static_cast<std::size_t>(access.parameters.storage().total));
      });
      communicator.broadcast(std::as_writable_bytes(std::span(flat)), 0);
    } else {
      flat = access.parameters.initial(config.seed);
    }
    set_weights(access, flat, state.loss_scale);
  }
  state.world_size = communicator.size();
  state.config = config::to_ini(config);
  return state;
}

}  // namespace ldmpi::train
