#pragma once
// The scalars of a training run: together with the tensors of a checkpoint, all that a resumed run needs.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace ldmpi::train {

/// Stored as `state/state.json` of a checkpoint.
struct TrainState {
  std::int64_t step = 0;           ///< optimizer steps attempted: the position of the loop, names the checkpoint
  std::int64_t applied_steps = 0;  ///< those whose update was applied (not skipped)
  std::int64_t skipped_steps = 0;  ///< those skipped because the gradient norm was not finite
  std::uint64_t cursor = 0;        ///< samples consumed by the whole job; draw index and place in the data
  std::int64_t epoch = 0;
  std::uint64_t seed = 0;
  std::int64_t total_batch_size = 0;
  int world_size = 0;  ///< ranks of the job that saved
  double loss_scale = 1.0;
  std::int64_t loss_scale_good_steps = 0;           ///< finite steps since the scale last changed
  std::int64_t ema_count = 0;                       ///< EMA updates so far
  int restarts = 0;                                 ///< how often the run has been resumed
  double wall_seconds = 0.0;                        ///< of training, over all restarts
  std::string choices;                              ///< what lowering and autotuning picked (design: record of choices)
  std::map<std::string, std::string> fingerprints;  ///< "model", "data", ...: a resumed run must have the same
  std::string config;  ///< text of the configuration (RUN/config.cfg) at the time of saving

  friend bool operator==(const TrainState&, const TrainState&) = default;
};

/// JSON text that parse_train_state reads back to an equal state.
[[nodiscard]] std::string to_json(const TrainState& state);

/// Throws Error(BadData) that names `name` and the field for text that is not such a state. Unknown fields are ignored.
[[nodiscard]] TrainState parse_train_state(std::string_view json, std::string_view name);

}  // namespace ldmpi::train
