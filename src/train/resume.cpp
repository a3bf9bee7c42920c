#include "train/resume.h"

#include "base/log.h"
#include "comm/agree.h"
#include "config/print.h"

namespace ldmpi::train {
namespace {

constexpr double kFirstLossScale = 65536;

double first_loss_scale(config::Precision precision) {
  return precision == config::Precision::Fp16 ? kFirstLossScale : 1.0;
}

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
  state.loss_scale = first_loss_scale(config.precision);
  if (!reads) return state;
  newest = open_newest_checkpoint(folder.checkpoints());
  require(newest != nullptr || config.resume != config::Resume::Must, Exit::MissingInput,
          "--resume must, but {} holds no sound checkpoint. Give the --output_dir of the earlier run, or begin anew "
          "with --resume auto",
          folder.checkpoints().string());
  if (newest) {
    compare(config, fingerprints, newest->state());
    log::info("resuming behind step {} from {}", newest->state().step, newest->folder().string());
  }
  return state;
}

void adopt_precision(TrainState& state, config::Precision now) {
  const auto saved = config::from_ini(state.config, "the configuration in the checkpoint").precision;
  if ((saved == config::Precision::Fp16) == (now == config::Precision::Fp16)) return;
  state.loss_scale = first_loss_scale(now);
  state.loss_scale_good_steps = 0;
}

TrainState load_state(const StateAccess& access, const Job& job, const config::TrainConfig& config,
                      const CheckpointReader* newest, TrainState fresh) {
  auto& communicator = access.communicator;
  TrainState state = std::move(fresh);
  if (communicator.all_reduce_max(std::int64_t{newest != nullptr}) != 0) {
    auto saved = parse_train_state(communicator.broadcast_text(newest != nullptr ? to_json(newest->state()) : "", 0),
                                   "the state of rank 0");
    adopt_precision(saved, config.precision);
    restore_state(access, newest, saved);
    saved.fingerprints = state.fingerprints;
    ++saved.restarts;
    state = std::move(saved);
  } else if (const auto* weights = job.model().weights.get()) {
    comm::agree(communicator, [&] { access.parameters.check(*weights); });
    // One rank reads, the file system is spared.
    begin_state(
        access, Origin::Rank0,
        [&](const auto& entry, std::span<float> values) { weights->read_float(entry.name, values); }, state.loss_scale);
  } else {
    begin_state(
        access, Origin::EveryRank,
        [&](const auto& entry, std::span<float> values) { nn::initial_values(entry, config.seed, values); },
        state.loss_scale);
  }
  state.world_size = communicator.size();
  state.config = config::to_ini(config);
  return state;
}

}  // namespace ldmpi::train
