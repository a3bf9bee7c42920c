// ldmpi-data: makes, inspects and checks datasets.

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/build_info.h"
#include "base/check.h"
#include "base/log.h"
#include "commands.h"
#include "config/option_table.h"

namespace {

using namespace ldmpi;

struct Command {
  const char* name;
  void (*run)(data_tools::Arguments);
  const char* purpose;
};

constexpr std::array kCommands{
    Command{"pack", &data_tools::run_pack, "pictures and captions to shards"},
    Command{"synth", &data_tools::run_synth, "a synthetic dataset for tests and benchmarks"},
    Command{"inspect", &data_tools::run_inspect, "schema, sizes and statistics of a dataset"},
    Command{"verify", &data_tools::run_verify, "reads every sample and lists all problems"},
    Command{"convert", &data_tools::run_convert, "npz, npy or safetensors latents to shards"},
};

std::string usage() {
  std::string text = "usage: ldmpi-data COMMAND [options]\n\n";
  for (const auto& command : kCommands) text += fmt::format("  {:<10} {}\n", command.name, command.purpose);
  return text + "\nldmpi-data COMMAND --help lists the options. The format: docs/file_formats.md\n";
}

void run(const std::vector<std::string_view>& words) {
  if (words.empty()) fail(Exit::BadConfig, "a command is missing\n{}", usage());
  if (words[0] == "--help" || words[0] == "-h") return fmt::print("{}", usage());
  if (words[0] == "--version") return fmt::print("ldmpi-data {}\n", version());
  std::vector<std::string> names;
  for (const auto& command : kCommands) {
    if (words[0] == command.name) return command.run(std::span(words).subspan(1));
    names.emplace_back(command.name);
  }
  const std::string nearest = config::nearest_of(words[0], names);
  fail(Exit::BadConfig, "unknown command \"{}\"{}\n{}", words[0],
       nearest.empty() ? "" : ", did you mean " + nearest + "?", usage());
}

}  // namespace

int main(int argc, char** argv) {
  int code = 0;
  try {
    require_instruction_set();
    run({argv + 1, argv + argc});
  } catch (const Error& error) {
    fmt::print(stderr, "ldmpi-data: {}\n", error.what());
    code = static_cast<int>(error.code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "ldmpi-data: internal error: {}\n", error.what());
    code = static_cast<int>(Exit::Internal);
  }
  log::flush();
  if (std::fflush(stdout) != 0 && code == 0) code = static_cast<int>(Exit::IoError);
  // Not exit: HDF5 1.10 can crash in its exit handler after a write error, and the code would be lost.
  if (code != 0) std::_Exit(code);
  return code;
}
