// Spellings, aliases and the order of precedence.
#include "fixture.h"

namespace ldmpi::config {
namespace {

TEST_F(ConfigTest, DefaultsOfTheContract) {
  const TrainConfig c = train({});
  EXPECT_EQ(c.optimizer.beta1, 0.9);
  EXPECT_EQ(c.optimizer.beta2, 0.999);
  EXPECT_EQ(c.optimizer.epsilon, 1e-8);
  EXPECT_EQ(c.optimizer.weight_decay, 0.01);
  EXPECT_EQ(c.optimizer.max_grad_norm, 1.0);
  EXPECT_EQ(c.ema.decay, 0.9999);
  EXPECT_TRUE(c.ema.warmup);
  EXPECT_EQ(c.schedule.name, LrSchedule::Constant);
  EXPECT_EQ(c.data.caption_dropout, 0.1);
  EXPECT_EQ(c.checkpoint.every, 500);
  EXPECT_EQ(c.checkpoint.keep, 2);
  EXPECT_EQ(c.resume, Resume::Auto);
}

TEST_F(ConfigTest, CommandLineThenEnvironmentThenLaterFileThenEarlierFile) {
  const std::string a = file("a.cfg", "seed = 1\nmax_train_steps = 10\n[log]\nevery = 1\n[checkpoint]\nevery = 11\n");
  const std::string b = file("b.cfg", "seed = 2\nmax_train_steps = 20\n[log]\nevery = 2\n");
  const ParsedCommand parsed = parse_train({"--config", a, "--config", b, "--seed", "4"},
                                           {{"LDMPI_SEED", "3"}, {"LDMPI_MAX_TRAIN_STEPS", "30"}, {"HOME", "/"}});
  const auto& c = std::get<TrainConfig>(parsed.config);
  EXPECT_EQ(c.seed, 4U);
  EXPECT_EQ(c.max_train_steps, 30);
  EXPECT_EQ(c.log.every, 2);
  EXPECT_EQ(c.checkpoint.every, 11);
  EXPECT_EQ(parsed.sources.at("seed"), "command line");
  EXPECT_EQ(parsed.sources.at("max_train_steps"), "environment LDMPI_MAX_TRAIN_STEPS");
  EXPECT_EQ(parsed.sources.at("log.every"), b + ":4");
  EXPECT_EQ(parsed.sources.at("checkpoint.every"), a + ":6");
  EXPECT_EQ(parsed.sources.count("checkpoint.keep"), 0U);
}

TEST_F(ConfigTest, FilesMayComeFromTheEnvironment) {
  const std::string a = file("a.cfg", "seed = 5\n");
  EXPECT_EQ(train({}, {{"LDMPI_CONFIG", a}}).seed, 5U);
}

TEST_F(ConfigTest, EverySpellingOfAKey) {
  for (const Words& words :
       {Words{"--batch_size", "6"}, Words{"--batch-size", "6"}, Words{"--batch_size=6"}, Words{"batch_size=6"},
        Words{"batch-size=6"}, Words{"--train_batch_size", "6"}, Words{"--train-batch-size=6"}}) {
    EXPECT_EQ(train(words).batch_size, 6) << words[0];
  }
  EXPECT_EQ(train({}, {{"LDMPI_DATA__CAPTION_DROPOUT", "0.5"}}).data.caption_dropout, 0.5);
  EXPECT_EQ(train({"--data.caption-dropout", "0.25"}).data.caption_dropout, 0.25);
}

TEST_F(ConfigTest, AliasesOfDiffusers) {
  const TrainConfig c = train({"--train_batch_size=4",
                               "--mixed_precision",
                               "no",
                               "--learning_rate",
                               "3e-5",
                               "--lr_scheduler",
                               "constant_with_warmup",
                               "--lr_warmup_steps",
                               "7",
                               "--gradient_accumulation_steps",
                               "2",
                               "--checkpointing_steps",
                               "9",
                               "--checkpoints_total_limit",
                               "3",
                               "--resume_from_checkpoint",
                               "latest",
                               "--snr_gamma",
                               "5.0",
                               "--noise_offset",
                               "0.1",
                               "--use_ema",
                               "--max_grad_norm",
                               "0.5"});
  EXPECT_EQ(c.batch_size, 4);
  EXPECT_EQ(c.precision, Precision::Fp32);
  EXPECT_EQ(c.optimizer.learning_rate, 3e-5);
  EXPECT_EQ(c.schedule.name, LrSchedule::Constant);
  EXPECT_EQ(c.schedule.warmup_steps, 7);
  EXPECT_EQ(c.accumulation, 2);
  EXPECT_EQ(c.checkpoint.every, 9);
  EXPECT_EQ(c.checkpoint.keep, 3);
  EXPECT_EQ(c.resume, Resume::Auto);
  EXPECT_EQ(c.diffusion.snr_gamma, 5);
  EXPECT_EQ(c.diffusion.noise_offset, 0.1);
  EXPECT_EQ(c.ema.enabled, Switch::On);
  EXPECT_EQ(c.optimizer.max_grad_norm, 0.5);
  const auto sample = std::get<SampleConfig>(parse({"sample", "--model.path", "RUN", "--prompt", "a, b", "--out", "O",
                                                    "--num_inference_steps", "50", "--guidance_scale", "7.5"})
                                                 .config);
  EXPECT_EQ(sample.steps, 50);
  EXPECT_EQ(sample.guidance, 7.5);
  EXPECT_EQ(sample.prompt, (std::vector<std::string>{"a, b"}));
  const auto empty = std::get<SampleConfig>(
      parse({"sample", "--model.path", "RUN", "--prompt", "", "--prompt=", "--prompt", "c", "--out", "O"}).config);
  EXPECT_EQ(empty.prompt, (std::vector<std::string>{"", "", "c"})) << "the empty prompt is one";
}

TEST_F(ConfigTest, AliasesWorkInFilesAndEnvironmentToo) {
  const std::string a = file("a.cfg", "train_batch_size = 3\nmixed_precision = no\n");
  const TrainConfig c = train({"--config", a}, {{"LDMPI_LEARNING_RATE", "2e-4"}});
  EXPECT_EQ(c.batch_size, 3);
  EXPECT_EQ(c.precision, Precision::Fp32);
  EXPECT_EQ(c.optimizer.learning_rate, 2e-4);
}

TEST_F(ConfigTest, SwitchesStandAloneOrWithAWord) {
  EXPECT_TRUE(train({"--log.draws"}).log.draws);
  EXPECT_TRUE(train({"--log.draws", "on", "--seed", "1"}).log.draws);
  EXPECT_FALSE(train({"--log.tensorboard", "off"}).log.tensorboard);
  EXPECT_TRUE(train({"--log.draws", "--seed", "1"}).log.draws);
  const auto convert = std::get<ConvertConfig>(parse({"convert", "A", "--ema", "B", "--dtype", "fp16"}).config);
  EXPECT_TRUE(convert.ema);
  EXPECT_EQ(convert.input, "A");
  EXPECT_EQ(convert.output, "B");
  EXPECT_EQ(convert.dtype, FileDType::Fp16);
}

TEST_F(ConfigTest, SynonymsInEverySource) {
  EXPECT_FALSE(train({}).optimizer.shard);
  EXPECT_TRUE(train({"--optimizer.shard"}).optimizer.shard);
  EXPECT_TRUE(train({"--optimizer.shard", "world"}).optimizer.shard);
  EXPECT_TRUE(train({"--optimizer.shard=world"}).optimizer.shard);
  EXPECT_TRUE(train({"--config", file("a.cfg", "[optimizer]\nshard = world\n")}).optimizer.shard);
  EXPECT_TRUE(train({}, {{"LDMPI_OPTIMIZER__SHARD", "world"}}).optimizer.shard);
  for (const Words& words : {Words{"--optimizer.shard=node"}, Words{"--optimizer.shard", "node"}})
    expect_has(train_refusal(words), "--optimizer.shard: 'node' is neither on nor off");
}

TEST_F(ConfigTest, ListsByRepetitionAndComma) {
  const TrainConfig c = train({"--model.freeze", "down_blocks,conv_in", "--model.freeze", "mid_block", "--print",
                               "graph", "--print=plan,kernels", "--resume.allow", "seed", "--resume", "must"});
  EXPECT_EQ(c.model.freeze, (std::vector<std::string>{"down_blocks", "conv_in", "mid_block"}));
  EXPECT_EQ(c.print, (std::vector<Stage>{Stage::Graph, Stage::Plan, Stage::Kernels}));
  EXPECT_EQ(c.resume_allow, (std::vector<std::string>{"seed"}));
  EXPECT_EQ(c.resume, Resume::Must);
}

TEST_F(ConfigTest, TheFlatKeyResumeAndTheSectionResumeLiveTogether) {
  const std::string a = file("a.cfg", "resume = never\n[resume]\nallow = seed\nallow = precision\n");
  const TrainConfig c = train({"--config", a});
  EXPECT_EQ(c.resume, Resume::Never);
  EXPECT_EQ(c.resume_allow, (std::vector<std::string>{"seed", "precision"}));
}

TEST_F(ConfigTest, FileGrammar) {
  const std::string a = file("a.cfg",
                             "# comment\r\n; comment\r\n\r\nseed=8   # behind a value\r\n"
                             "output_dir = \"a # b \\\"c\\\" \"\r\n [ data ] # section\r\npath = x#1\r\n");
  const auto c = std::get<TrainConfig>(parse({"train", "--config", a, "--model.config", "c.json"}).config);
  EXPECT_EQ(c.seed, 8U);
  EXPECT_EQ(c.output_dir, "a # b \"c\" ");
  EXPECT_EQ(c.data.path, "x#1");
}

TEST_F(ConfigTest, SharedFilesMayHoldOptionsOfOtherCommands) {
  const std::string a = file("a.cfg", "batch_size = 8\nguidance = 3\n[model]\nconfig = c.json\n[data]\npath = D\n");
  const auto plan = std::get<PlanConfig>(parse({"plan", "--config", a, "--latent", "4x64x64"}).config);
  EXPECT_EQ(plan.batch_size, 8);
  EXPECT_EQ(plan.latent, (Dims{4, 64, 64}));
  const auto sample = std::get<SampleConfig>(
      parse({"sample", "--config", a, "--model.path", "R", "--prompt", "p", "--out", "o"}, {{"LDMPI_DATA__PATH", "E"}})
          .config);
  EXPECT_EQ(sample.guidance, 3);
}

TEST_F(ConfigTest, EveryCommandOfTheContract) {
  const auto probe = std::get<ProbeConfig>(parse({"probe", "--model.path", "F", "--input", "in.safetensors", "--output",
                                                  "out.safetensors", "--device", "cpu", "--precision", "fp32"})
                                               .config);
  EXPECT_EQ(probe.output, "out.safetensors");
  const auto plan = std::get<PlanConfig>(
      parse({"plan", "--model.config", "unet/config.json", "--batch_size", "8", "--precision", "bf16", "--latent",
             "4x64x64", "--context", "77x768", "--target", "cuda:h100", "--json"})
          .config);
  EXPECT_TRUE(plan.json);
  EXPECT_EQ(plan.target, "cuda:h100");
  const auto sample = std::get<SampleConfig>(parse({"sample", "--model.path", "RUN", "--prompt", "x", "--prompt", "y=z",
                                                    "--out", "DIR", "--steps", "25", "--guidance", "5", "--seed", "0"})
                                                 .config);
  EXPECT_EQ(sample.prompt, (std::vector<std::string>{"x", "y=z"}));
  EXPECT_EQ(std::get<ReportConfig>(parse({"report", "RUN"}).config).run, "RUN");
  EXPECT_EQ(std::get<BenchConfig>(parse({"bench", "--model.config", "c", "--batch_size", "4", "--steps", "3"}).config)
                .train.batch_size,
            4);
  EXPECT_EQ(std::get<ConvertConfig>(parse({"convert", "a=b", "c", "--format", "ldm"}).config).input, "a=b");
  EXPECT_TRUE(parse({"--version"}).version);
}

TEST_F(ConfigTest, NegativeNumbersAreValues) {
  expect_has(train_refusal({"--data.caption_dropout", "-1"}), "'-1' is out of range");
}

}  // namespace
}  // namespace ldmpi::config
