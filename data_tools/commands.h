#pragma once
// The subcommands. Each takes the words after its name and throws Error with the exit code of the process.

#include <span>
#include <string_view>

namespace ldmpi::data_tools {

using Arguments = std::span<const std::string_view>;

void run_pack(Arguments arguments);     ///< pictures and captions to shards
void run_synth(Arguments arguments);    ///< synthetic samples
void run_inspect(Arguments arguments);  ///< what a dataset holds
void run_verify(Arguments arguments);   ///< reads everything, lists all problems
void run_convert(Arguments arguments);  ///< latents of other programs to shards

}  // namespace ldmpi::data_tools
