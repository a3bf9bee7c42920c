#pragma once
// One function per command: takes its parsed options, returns the process's exit code, throws Error.

#include "comm/environment.h"
#include "config/parse.h"

namespace ldmpi::app {

/// What every command gets: its parsed options and the process it runs in.
struct Invocation {
  config::ParsedCommand parsed;
  std::vector<const char*> arguments;  ///< argv without the program's name
  comm::Environment environment;
};

[[nodiscard]] int run(config::TrainConfig config, Invocation& invocation);
[[nodiscard]] int run(const config::PlanConfig& config, Invocation& invocation);
[[nodiscard]] int run(const config::ProbeConfig& config, Invocation& invocation);
[[nodiscard]] int run(const config::SampleConfig& config, Invocation& invocation);
[[nodiscard]] int run(const config::ConvertConfig& config, Invocation& invocation);
[[nodiscard]] int run(const config::BenchConfig& config, Invocation& invocation);
[[nodiscard]] int run(const config::ReportConfig& config, Invocation& invocation);
[[nodiscard]] int run(const config::TopConfig& config, Invocation& invocation);

/// The text of --print_config: all options of the command with values and sources.
[[nodiscard]] std::string settled_config(const Invocation& invocation);

/// Version of the program and of every library in it, one per line.
[[nodiscard]] std::string version_text();

}  // namespace ldmpi::app
