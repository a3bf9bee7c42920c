// ldmpi: parses the command line and hands over to the command.

#include <cstdio>
#include <iostream>

#include "app/commands.h"
#include "backend/cpu/cpu_backend.h"
#include "base/build_info.h"
#include "base/log.h"
#include "comm/agree.h"
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

int run(int argc, char** argv) {
  require_instruction_set();
  app::Invocation invocation{
      config::parse_command_line(argc, argv), {argv + 1, argv + argc}, comm::discover_environment()};
  auto& parsed = invocation.parsed;
  if (parsed.output) {
    std::cout << *parsed.output << std::flush;
    return 0;
  }
  if (parsed.version) {
    std::cout << app::version_text() << std::flush;
    return 0;
  }
  backend::prefer_passive_threads(argv);
  log::set_rank(invocation.environment.rank, invocation.environment.ranks);
  set_log_level(parsed.config);
  return std::visit([&](auto config) { return app::run(std::move(config), invocation); },
                    config::CommandConfig(parsed.config));
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (...) {
    const auto failure = comm::describe(std::current_exception());
    log::error("{}", failure.message);
    log::flush();
    return static_cast<int>(failure.code);
  }
}
