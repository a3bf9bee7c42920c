// Everything that can be wrong with a configuration: all of it is listed, with its place and the remedy; exit code 78.
#include "fixture.h"

namespace ldmpi::config {
namespace {

TEST_F(ConfigTest, AllFaultsOfAllSourcesAtOnce) {
  const std::string a = file("a.cfg",
                             "bach_size = 4\n"        // 1 unknown
                             "seed = seven\n"         // 2 type
                             "max_train_steps = 0\n"  // 3 range
                             "num_gpus = 2\n"
                             "num_gpus = 4\n"  // 5 twice
                             "what is this\n"  // 6 no setting
                             "[optimiser]\n"
                             "beta1 = 0.9\n"  // 8 unknown section
                             "[optimizer]\n"
                             "beta2 = 1\n"  // 10 open end of a range
                             "[data\n"      // 11 no section
                             "[precision]\n"
                             "x = \n"  // 13 unknown and empty
                             "[log]\n"
                             "level =\n"        // 15 empty
                             "every = \"3\n");  // 16 quote
  const std::string text = train_refusal({"--config", a, "--precison", "fp32", "--output-dirr=x"},
                                         {{"LDMPI_BATCHSIZE", "3"}, {"LDMPI_SEED", ""}});
  expect_has(text, a + ":1: unknown option bach_size; did you mean batch_size?");
  expect_has(text, a + ":2: seed: 'seven' is not a whole number");
  expect_has(text, a + ":3: max_train_steps: '0' is out of range: at least 1");
  expect_has(text, a + ":5: num_gpus is given twice: '4' and, at " + a + ":4, '2'");
  expect_has(text, a + ":6: 'what is this' is neither key = value nor [section]");
  expect_has(text, a + ":8: unknown option optimiser.beta1; did you mean optimizer.beta1?");
  expect_has(text, a + ":10: optimizer.beta2: '1' is out of range: at least 0 and below 1");
  expect_has(text, a + ":11: '[data' is no [section]");
  expect_has(text, a + ":13: unknown option precision.x");
  expect_has(text, a + ":15: log.level: the value is empty");
  expect_has(text, a + ":16: log.every: the closing quote is missing");
  expect_has(text, "command line: unknown option --precison; did you mean --precision?");
  expect_has(text, "command line: unknown option --output-dirr; did you mean --output_dir?");
  expect_has(text, "environment LDMPI_BATCHSIZE: no option has this name; did you mean LDMPI_BATCH_SIZE?");
  expect_has(text, "environment LDMPI_SEED: the value is empty");
  expect_has(text, "15 problems");
}

TEST_F(ConfigTest, MissingFileFolderAndEndlessFile) {
  expect_has(train_refusal({"--config", (folder_ / "none.cfg").string()}), "none.cfg: the configuration file cannot");
  expect_has(train_refusal({"--config", folder_.string()}), "is a folder");
  expect_has(train_refusal({"--config", "/dev/zero"}), "/dev/zero:1: ");
}

TEST_F(ConfigTest, TenMegabyteLine) {
  const std::string a = file("a.cfg", "seed = 1\noutput_dir = " + std::string(10'000'000, 'x') + "\n");
  const std::string text = train_refusal({"--config", a});
  expect_has(text, a + ":2: the line is longer than 65536 bytes");
  EXPECT_LT(text.size(), 2000U);
}

TEST_F(ConfigTest, AFileFullOfFaultsEndsSoon) {
  std::string lines;
  for (int i = 0; i < 60'000; ++i) lines += "no_such_option = 1\n";
  const std::string text = train_refusal({"--config", file("a.cfg", lines)});
  expect_has(text, "a.cfg:49: unknown option no_such_option");
  expect_has(text, "102 problems");  // 100, the note that reading ends, and the size of the file
  EXPECT_LT(text.size(), 10'000U);
}

TEST_F(ConfigTest, BinaryNulAndMarks) {
  const std::string nul = file("nul.cfg", std::string("seed = 1\nbatch_size = 4\0\n", 24));
  expect_has(train_refusal({"--config", nul}), nul + ":2: byte 0x00 in the line; this is not a text file");
  const std::string binary = file("elf.cfg", std::string("\x7f"
                                                         "ELF\x02\x01\x01\0\0",
                                                         9));
  expect_has(train_refusal({"--config", binary}), binary + ":1: byte 0x7f");
  const std::string bom = file("bom.cfg", "\xEF\xBB\xBFseed = 1\nsed = 2\n");
  const std::string text = train_refusal({"--config", bom});
  expect_has(text, bom + ":1: the file begins with a byte order mark");
  expect_has(text, bom + ":2: unknown option sed");
  expect_has(train_refusal({"--config", file("wide.cfg", std::string("\xFF\xFEs\0", 4))}),
             "wide.cfg:1: the file is UTF-16");
  expect_has(train_refusal({"--config", file("latin.cfg", "output_dir = caf\xE9\n")}), "not UTF-8 (byte 0xe9)");
}

TEST_F(ConfigTest, AGoodFileOfEveryOddFormPasses) {
  EXPECT_EQ(train({"--config", file("empty.cfg", "")}).seed, 0U);
  EXPECT_EQ(train({"--config", file("crlf.cfg", "seed = 3\r\n\r\n")}).seed, 3U);
  EXPECT_EQ(train({"--config", file("no_end.cfg", "seed = 3")}).seed, 3U);
  EXPECT_EQ(train({"--config", file("utf8.cfg", "seed = 3 # \xC3\xA9\n")}).seed, 3U);
}

TEST_F(ConfigTest, CommandLineForms) {
  expect_has(train_refusal({"--seed"}), "--seed needs a value: --seed N");
  expect_has(train_refusal({"--seed", "--batch_size", "4"}), "--seed needs a value");
  expect_has(train_refusal({"--seed="}), "--seed: the value is empty");
  expect_has(train_refusal({"-s", "4"}), "unknown option -s: options begin with two dashes");
  expect_has(train_refusal({"stray"}), "unexpected word 'stray'");
  expect_has(train_refusal({"sed=4"}), "unknown option --sed; did you mean --seed?");
  expect_has(train_refusal({"--seed", "1", "--seed", "2"}), "seed is given twice");
  EXPECT_EQ(train({"--seed", "1", "--seed=1"}).seed, 1U);
  expect_has(train_refusal({"--guidance", "3"}), "--guidance is an option of ldmpi sample, not of ldmpi train");
  expect_has(train_refusal({std::string("--output_dir=a\nb")}), "control byte 0x0a");
  expect_has(refusal([] { parse({"convert", "a", "b", "c"}); }), "unexpected word 'c': usage: ldmpi convert IN OUT");
  const std::string text = train_refusal({"--nonsense", "5"});
  expect_has_not(text, "unexpected word");
}

// What nothing in the program reads must not be accepted.
TEST_F(ConfigTest, OptionsThatWouldDoNothingAreUnknown) {
  for (const char* option : {"--doctor"})
    expect_has(train_refusal({option, "on"}), std::string("unknown option ") + option);
  for (const char* option : {"--mode", "--data.path", "--seed", "--max_train_steps", "--print"}) {
    const std::string text = refusal([&] { parse({"bench", "--model.config", "c", option, "1"}); });
    expect_has(text, option);
    expect_has(text, "option");
  }
  for (const char* command : {"doctor"})
    expect_has(refusal([&] { parse({command}); }), std::string("unknown command '") + command);
}

TEST_F(ConfigTest, Commands) {
  expect_has(refusal([] { parse({}); }), "no command given");
  expect_has(refusal([] { parse({"trian"}); }), "unknown command 'trian'; did you mean train?");
  expect_has(refusal([] { parse({"--seed", "1"}); }), "unknown command '--seed'");
}

TEST_F(ConfigTest, EnvironmentNames) {
  EXPECT_EQ(train({}, {{"LDMPI_SOURCE_DIR", "/x"},
                       {"LDMPI_BINARY_DIR", "/x"},
                       {"LDMPI_HOME", ""},
                       {"LDMPI_PLUGIN_DIR", "/x"},
                       {"LDMPI_TEST_ANYTHING", "1"},
                       {"LDMPIX", "1"},
                       {"LDMPI_GUIDANCE", "2"}})
                .seed,
            0U);
  expect_has(train_refusal({}, {{"LDMPI_NOTHING_LIKE_IT", "1"}}),
             "environment LDMPI_NOTHING_LIKE_IT: no option has this name");
  expect_has(train_refusal({}, {{"LDMPI_PRECISION", "fp31"}}), "environment LDMPI_PRECISION: 'fp31' is not one of");
  expect_has(train_refusal({}, {{"LDMPI_HELP", "all"}}), "environment LDMPI_HELP");
}

TEST_F(ConfigTest, FilesCannotSteerTheParser) {
  expect_has(train_refusal({"--config", file("a.cfg", "config = b.cfg\n")}),
             "config can stand on the command line only");
  expect_has(refusal([this] { parse({"report", "--config", file("r.cfg", "run = R\n")}); }), "unknown option run");
}

TEST_F(ConfigTest, MissingOptions) {
  const std::string text = refusal([] { parse({"train"}); });
  expect_has(text, "model.path is not given");
  expect_has(text, "data.path is not given");
  expect_has(text, "output_dir is not given");
  expect_has(refusal([] { parse({"sample", "--model.path", "R"}); }), "prompt is not given");
  expect_has(refusal([] { parse({"convert", "a"}); }), "OUT is not given");
  EXPECT_TRUE(parse({"train", "--print_config"}).print_config);
}

TEST_F(ConfigTest, Contradictions) {
  expect_has(train_refusal({"--device", "cpu", "--precision", "tf32"}), "tf32 exists on CUDA only");
  expect_has(refusal([] {
               parse({"plan", "--model.config", "c", "--print", "graph", "--json"});
             }),
             "json and print exclude each other");
  expect_has(refusal([] {
               parse({"plan", "--model.config", "c", "--print", "kernels"});
             }),
             "ldmpi train --print kernels shows them");
  expect_has(train_refusal({"--num_gpus", "2", "--batch_size", "4", "--accumulation", "2", "--total_batch_size", "32"}),
             "the batch does not come out even");
  expect_has(train_refusal({"--batch_size", "4", "--total_batch_size", "6"}),
             "no multiple of batch_size x accumulation");
  expect_has(train_refusal({"--max_train_steps", "10", "--schedule.warmup_steps", "11"}), "would never be reached");
  expect_has(train_refusal({"--diffusion.zero_terminal_snr", "--diffusion.prediction_type", "epsilon"}),
             "cannot be learned");
  expect_has(train_refusal({"--diffusion.beta_start", "0.02", "--diffusion.beta_end", "0.01"}), "is above");
  expect_has(train_refusal({"--resume.allow", "sede"}), "resume.allow names no option: sede; did you mean seed?");
  expect_has(refusal([] {
               parse({"train", "--model.config", "c", "--data.path", "a/b/", "--output_dir", "a/./b"});
             }),
             "same folder");
  expect_has(refusal([] { parse({"plan", "--model.config", "c", "--target", "tpu"}); }), "neither cpu");
  expect_has(refusal([] { parse({"plan", "--model.config", "c", "--latent", "4x64"}); }), "latent has 2 sizes, not 3");
  expect_has(refusal([] {
               parse({"plan", "--model.config", "c", "--precision", "tf32"});
             }),
             "tf32 exists on CUDA only");
  expect_has(refusal([] { parse({"convert", "a", "a/"}); }), "IN and OUT are the same");
}

}  // namespace
}  // namespace ldmpi::config
