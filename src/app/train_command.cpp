#include "app/commands.h"
#include "app/make_backend.h"
#include "comm/agree.h"
#include "comm/relaunch.h"
#include "comm/run.h"
#include "comm/signals.h"
#include "config/print.h"
#include "config/resolve.h"
#include "train/trainer.h"

namespace ldmpi::app {

std::string settled_config(const Invocation& invocation) {
  auto parsed = invocation.parsed;
  if (auto* config = std::get_if<config::TrainConfig>(&parsed.config)) {
    auto decided = config::resolve(*config, config->num_gpus.value_or(invocation.environment.ranks), false);
    parsed.sources.merge(decided);
  }
  return config::config_text(parsed);
}

int run(config::TrainConfig config, Invocation& invocation) {
  comm::install_stop_signals();
  if (config.num_gpus)
    comm::relaunch_under_mpirun(invocation.environment, static_cast<int>(*config.num_gpus), invocation.arguments);
  return comm::run_ranks(invocation.environment, [&](comm::Communicator& communicator) {
    comm::agree(communicator, [] {});  // here ranks that found an error before are met
    auto backend = make_backend(choice_of(config), invocation.environment, communicator);
    comm::agree(communicator,
                [&] { (void)config::resolve(config, communicator.size(), backend.kind == config::Device::Cuda); });
    return static_cast<int>(
        train::train(config, invocation.environment, communicator,
                     {*backend.lowering, *backend.device, backend.collectives_or(communicator)}));
  });
}

}  // namespace ldmpi::app
