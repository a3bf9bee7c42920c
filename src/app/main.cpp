// ldmpi: parses the command line and hands over to the command.

#include <cstdio>
#include <iostream>

#include "app/commands.h"
#include "backend/cpu/cpu_backend.h"
#include "base/build_info.h"
#include "base/log.h"
#include "comm/agree.h"
#include "comm/run.h"
#include "config/help.h"

namespace {

using namespace ldmpi;

void set_log_level(const config::CommandConfig& config) {
  std::visit(
      [](const auto& c) {
        using C = std::decay_t<decltype(c)>;
        auto level = config::LogLevel::Info;
        if constexpr (requires { c.log_level; }) level = c.log_level;
        if constexpr (std::same_as<C, config::TrainConfig>) level = c.log.level;
        if constexpr (std::same_as<C, config::BenchConfig>) level = c.train.log.level;
        log::set_level(static_cast<log::Level>(level));
      },
      config);
}

/// Training and its measurement take all ranks of a launcher; everything else is done by the first of them alone.
bool takes_all_ranks(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  return command == "train" || command == "bench";
}

int run(int argc, char** argv, const comm::Environment& environment) {
  require_instruction_set();
  app::Invocation invocation{config::parse_command_line(argc, argv), {argv + 1, argv + argc}, environment};
  auto& parsed = invocation.parsed;
  if (parsed.version) parsed.output = app::version_text();
  if (parsed.print_config) parsed.output = app::settled_config(invocation);
  if (parsed.output) {
    if (environment.rank == 0) std::cout << *parsed.output << std::flush;
    return 0;
  }
  backend::prefer_passive_threads(argv);
  set_log_level(parsed.config);
  return std::visit([&](auto config) { return app::run(std::move(config), invocation); },
                    config::CommandConfig(parsed.config));
}

/// `code`, or 74 if what was printed did not arrive.
int unless_output_failed(int code) {
  if (std::cout.flush().good() || code != 0) return code;
  log::error("what was printed could not be written to standard output. Is its disk full?");
  log::flush();
  return static_cast<int>(Exit::IoError);
}

}  // namespace

int main(int argc, char** argv) {
  const bool all_ranks = takes_all_ranks(argc, argv);
  comm::Environment environment;
  try {
    environment = comm::discover_environment();
    if (!all_ranks && environment.rank != 0) return 0;
    log::set_rank(environment.rank, all_ranks ? environment.ranks : 1);
    return unless_output_failed(run(argc, argv, environment));
  } catch (...) {
    // Before the ranks have met. They meet now, so that what all of them found is said once.
    const auto exception = std::current_exception();
    if (all_ranks && environment.ranks > 1)
      return comm::run_ranks(environment, [&](comm::Communicator& communicator) {
        comm::settle(communicator, exception);
        return static_cast<int>(Exit::Internal);
      });
    const auto failure = comm::describe(exception);
    log::error("{}", failure.message);
    log::flush();
    return static_cast<int>(failure.code);
  }
}
