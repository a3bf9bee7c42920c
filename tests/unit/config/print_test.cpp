// config.cfg, --print_config and the comparison of a run with the one it resumes.
#include "config/print.h"

#include <algorithm>

#include "config/options.h"
#include "config/resolve.h"
#include "fixture.h"

namespace ldmpi::config {
namespace {

/// A valid text, other than the present value, for any option.
std::string another_value(const Option& option) {
  for (const char* text : {"on", "off", "3", "0.5", "cpu", "fp16", "never", "linear", "sample", "skip", "mpi", "error",
                           "kernels", "a \"b\" # c\\", "seed"}) {
    if (!option.fault(text) && option.texts() != std::vector<std::string>{text}) return text;
  }
  return {};
}

TEST_F(ConfigTest, RoundTripOfEveryOption) {
  TrainConfig config;
  const OptionTable table = table_of(config);
  for (const Option& option : table.options()) {
    const std::vector<std::string> before = option.texts();
    const std::string text = another_value(option);
    ASSERT_NE(text, "") << option.key;
    option.assign({text});
    ASSERT_NE(option.texts(), before) << option.key;
    const TrainConfig read = from_ini(to_ini(config), "config.cfg");
    ASSERT_TRUE(diff(config, read).empty()) << option.key << "\n" << to_ini(config);
    ASSERT_EQ(to_ini(read), to_ini(config));
  }
  // Every row now differs from the default, so none of the comparisons above was between two defaults.
  EXPECT_EQ(diff(config, TrainConfig{}).size(), table.options().size());
}

TEST_F(ConfigTest, RoundTripOfLists) {
  TrainConfig config;
  config.model.freeze = {"a", "b # c", " d "};
  config.print = {Stage::Plan, Stage::Graph};
  EXPECT_EQ(from_ini(to_ini(config), "x").model.freeze, config.model.freeze);
  EXPECT_EQ(from_ini(to_ini(config), "x").print, config.print);
}

TEST_F(ConfigTest, FromIniListsFaults) {
  const std::string text = refusal([] { (void)from_ini("seed = x\nsed = 1\n", "RUN/config.cfg"); });
  expect_has(text, "RUN/config.cfg:1: ");
  expect_has(text, "RUN/config.cfg:2: ");
}

TEST_F(ConfigTest, PrintedConfigurationNamesSourcesAndReadsBack) {
  const std::string a = file("a.cfg", "[checkpoint]\nkeep = 5\n");
  ParsedCommand parsed = parse_train({"--config", a, "--seed", "7", "--print_config"}, {{"LDMPI_BATCH_SIZE", "4"}});
  auto& config = std::get<TrainConfig>(parsed.config);
  for (const auto& [key, why] : resolve(config, 2, false)) parsed.sources[key] = why;
  const std::string text = config_text(parsed);
  const auto line = [&text](const std::string& start) {
    const std::size_t at = text.find("\n" + start);
    return at == std::string::npos ? "" : text.substr(at + 1, text.find('\n', at + 1) - at - 1);
  };
  expect_has(line("seed = 7 "), "# command line");
  expect_has(line("batch_size = 4 "), "# environment LDMPI_BATCH_SIZE");
  expect_has(line("keep = 5 "), "# " + a + ":2");
  expect_has(line("total_batch_size = 8 "), "# derived: total_batch_size 8 = num_gpus 2 x batch_size 4");
  expect_has(line("beta1 = 0.9 "), "# default");
  EXPECT_TRUE(parsed.print_config);
  EXPECT_TRUE(diff(from_ini(text, "printed"), config).empty());
}

TEST_F(ConfigTest, DifferencesAndWhatAResumeRefuses) {
  TrainConfig old_config = train({"--total_batch_size", "16", "--max_train_steps", "100"});
  TrainConfig new_config = train({"--total_batch_size", "16", "--max_train_steps", "400", "--learning_rate", "1e-3",
                                  "--log.every", "3", "--checkpoint.every", "7"});
  (void)resolve(old_config, 2, false);
  (void)resolve(new_config, 4, false);
  const auto changes = diff(old_config, new_config);
  const auto has = [&changes](const std::string& key) {
    return std::any_of(changes.begin(), changes.end(), [&key](const ConfigChange& c) { return c.key == key; });
  };
  for (const char* key : {"num_gpus", "batch_size", "max_train_steps", "optimizer.learning_rate", "log.every",
                          "checkpoint.every", "schedule.warmup_steps"}) {
    EXPECT_TRUE(has(key)) << key;
  }
  EXPECT_FALSE(has("total_batch_size"));
  EXPECT_TRUE(refused(changes, {}).empty());

  const struct {
    const char* key;
    const char* value;
  } fixed[] = {{"model.config", "other"},
               {"total_batch_size", "32"},
               {"seed", "9"},
               {"precision", "bf16"},
               {"diffusion.prediction_type", "v_prediction"},
               {"diffusion.snr_gamma", "5"},
               {"ema.decay", "0.5"},
               {"optimizer.beta1", "0.5"},
               {"data.caption_dropout", "0.5"},
               {"model.freeze", "mid"}};
  for (const auto& [key, value] : fixed) {
    TrainConfig changed = old_config;
    const OptionTable table = table_of(changed);
    table.find(key)->assign({value});
    const auto stopped = refused(diff(old_config, changed), {});
    ASSERT_EQ(stopped.size(), 1U) << key;
    EXPECT_EQ(stopped[0].key, key);
    EXPECT_EQ(stopped[0].new_value, value);
    EXPECT_TRUE(refused(diff(old_config, changed), {key}).empty());
  }
  TrainConfig moved = old_config;
  moved.data.path = "elsewhere";
  ASSERT_EQ(diff(old_config, moved).size(), 1U);
  EXPECT_EQ(diff(old_config, moved)[0].change, Change::Content);
}

}  // namespace
}  // namespace ldmpi::config
