#include <iostream>

#include "app/commands.h"
#include "app/make_backend.h"
#include "comm/agree.h"
#include "comm/relaunch.h"
#include "comm/run.h"
#include "config/print.h"
#include "config/resolve.h"
#include "train/trainer.h"

namespace ldmpi::app {

int run(config::TrainConfig config, Invocation& invocation) {
  if (config.num_gpus && !invocation.parsed.print_config)
    comm::relaunch_under_mpirun(invocation.environment, static_cast<int>(*config.num_gpus), invocation.arguments);
  if (invocation.parsed.print_config) {
    auto& parsed = invocation.parsed;
    auto decided = config::resolve(config, config.num_gpus.value_or(invocation.environment.ranks), false);
    parsed.sources.merge(decided);
    parsed.config = config;
    if (invocation.environment.rank == 0) std::cout << config::config_text(parsed) << std::flush;
    return 0;
  }
  return comm::run_ranks(invocation.environment, [&](comm::Communicator& communicator) {
    auto backend = comm::agree(communicator, [&] {
      auto made = make_backend(config.device, invocation.environment);
      (void)config::resolve(config, communicator.size(), made.kind == config::Device::Cuda);
      return made;
    });
    return static_cast<int>(
        train::train(config, invocation.environment, communicator, *backend.lowering, *backend.device));
  });
}

}  // namespace ldmpi::app
