#pragma once
// The option tables of the commands. A table refers to the configuration it is made for, which must outlive it.

#include "config/option_table.h"
#include "config/parse.h"

namespace ldmpi::config {

[[nodiscard]] OptionTable table_of(TrainConfig& config);
[[nodiscard]] OptionTable table_of(PlanConfig& config);
[[nodiscard]] OptionTable table_of(ProbeConfig& config);
[[nodiscard]] OptionTable table_of(SampleConfig& config);
[[nodiscard]] OptionTable table_of(ConvertConfig& config);
[[nodiscard]] OptionTable table_of(BenchConfig& config);
[[nodiscard]] OptionTable table_of(ReportConfig& config);
[[nodiscard]] OptionTable table_of(TopConfig& config);
[[nodiscard]] OptionTable table_of(CommandConfig& config);

/// The options that steer the parser: --config, --print_config, --help.
void add_general(OptionTable& table, General& general);

// Rows shared by several commands; the same key has the same meaning and words everywhere.
void add_net(OptionTable& table, ModelConfig& config);
void add_num_gpus(OptionTable& table, std::optional<std::int64_t>& num_gpus);
Option& add_model_path(OptionTable& table, std::string& path);
void add_batch(OptionTable& table, std::optional<std::int64_t>& batch_size, std::optional<std::int64_t>& total,
               std::optional<std::int64_t>& accumulation);
void add_device(OptionTable& table, Device& device, Precision& precision);
Option& add_shard(OptionTable& table, bool& shard);
void add_samples_every(OptionTable& table, std::int64_t& every);
void add_log_level(OptionTable& table, LogLevel& level);

/// The commands in the order of the help.
[[nodiscard]] const std::vector<CommandConfig>& all_commands();

}  // namespace ldmpi::config
