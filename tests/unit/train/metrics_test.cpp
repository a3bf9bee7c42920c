#include "train/metrics.h"

#include <signal.h>
#include <sys/resource.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "fixture.h"
#include "train/metrics_history.h"

namespace ldmpi::train::test {
namespace {

MetricsOptions options_for(const Scratch& scratch, std::int64_t restored = 0) {
  return {.file = scratch / "metrics.jsonl",
          .tensorboard = {},
          .prometheus = {},
          .restored_step = restored,
          .progress = {.first_step = restored, .last_step = 100, .every = 1000, .terminal = false}};
}

StepMetrics metrics_of(std::int64_t step) {
  return {.step = step,
          .loss = 1.0 / static_cast<double>(step),
          .lr = 1e-4,
          .grad_norm = 0.5,
          .samples_per_second = 80,
          .totals = {.steps = 1, .seconds = 0.1, .data_wait = 0.00025, .flops = 2e11, .phases = {0, 0.03, 0.05, 0.01, 0}},
          .extra = {{"epoch", 2.0}}};
}

std::vector<nlohmann::json> lines_of(const Scratch& scratch) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(get(scratch / "metrics.jsonl"));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

TEST(Metrics, OneObjectPerStepWithTheAgreedKeys) {
  Scratch scratch;
  Metrics metrics(options_for(scratch));
  metrics.log(metrics_of(1));
  StepMetrics broken = metrics_of(2);
  broken.loss = std::nan("");
  broken.grad_norm = std::numeric_limits<double>::infinity();
  metrics.log(broken);
  metrics.event("validation", 2, {{"validation_loss", 0.125}});
  const auto lines = lines_of(scratch);
  ASSERT_EQ(lines.size(), 3U);
  for (const char* key : {"step", "loss", "lr", "grad_norm", "samples_per_second", "data_wait_ms", "epoch", "time",
                          "step_ms", "tflops", "forward_ms", "communicate_ms", "checkpoint_ms"})
    EXPECT_TRUE(lines[0].contains(key)) << key;
  EXPECT_EQ(lines[0]["loss"], 1.0);
  EXPECT_TRUE(lines[1]["loss"].is_null());
  EXPECT_TRUE(lines[1]["grad_norm"].is_null());
  EXPECT_EQ(lines[2]["event"], "validation");
  EXPECT_EQ(lines[2]["validation_loss"], 0.125);
  EXPECT_EQ(metrics.restarts(), 0);
}

TEST(Metrics, AResumedRunDropsWhatIsTrainedAgain) {
  Scratch scratch;
  {
    Metrics metrics(options_for(scratch));
    for (std::int64_t step = 1; step <= 7; ++step) metrics.log(metrics_of(step));
  }
  put(scratch / "metrics.jsonl", get(scratch / "metrics.jsonl") + "{\"step\": 8, \"lo");  // killed while writing
  {
    Metrics metrics(options_for(scratch, 5));
    EXPECT_EQ(metrics.restarts(), 1);
    for (std::int64_t step = 6; step <= 8; ++step) metrics.log(metrics_of(step));
  }
  Metrics metrics(options_for(scratch, 8));
  EXPECT_EQ(metrics.restarts(), 2);
  std::vector<std::pair<bool, std::int64_t>> seen;
  for (const auto& line : lines_of(scratch))
    seen.emplace_back(line.contains("restart"), line["step"].get<std::int64_t>());
  EXPECT_EQ(seen, (std::vector<std::pair<bool, std::int64_t>>{{false, 1},
                                                              {false, 2},
                                                              {false, 3},
                                                              {false, 4},
                                                              {false, 5},
                                                              {true, 5},
                                                              {false, 6},
                                                              {false, 7},
                                                              {false, 8},
                                                              {true, 8}}));
  const History history = read_history(scratch / "metrics.jsonl");
  EXPECT_EQ(history.restarts, (std::vector<std::int64_t>{5, 8}));
  EXPECT_EQ(history.series.at("loss").size(), 8U);
  EXPECT_EQ(history.series.count("time"), 0U);
}

TEST(Metrics, ARunKilledBeforeItsFirstCheckpointBeginsItsRecordAgain) {
  Scratch scratch;
  { Metrics(options_for(scratch)).log(metrics_of(1)); }
  const Metrics metrics(options_for(scratch, 0));
  const auto lines = lines_of(scratch);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0]["restart"], 1);
  EXPECT_EQ(lines[0]["step"], 0);
}

TEST(Metrics, ASinkThatFailsWarnsOnceAndNeverStopsTraining) {
  Scratch scratch;
  Metrics metrics(options_for(scratch));
  metrics.log(metrics_of(1));
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto ignored = ::signal(SIGXFSZ, SIG_IGN);
  // Room for a part of the next line only, as on a disk that becomes full.
  struct rlimit small = before;
  small.rlim_cur = std::filesystem::file_size(scratch / "metrics.jsonl") + 20;
  testing::internal::CaptureStderr();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  for (std::int64_t step = 2; step <= 5; ++step) metrics.log(metrics_of(step));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, ignored);
  metrics.log(metrics_of(6));
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  EXPECT_NE(text.find("training goes on"), std::string::npos) << text;
  const History history = read_history(scratch / "metrics.jsonl");
  EXPECT_EQ(history.series.at("loss"), (History::Series{{1, 1.0}, {6, 1.0 / 6.0}}));
}

TEST(Metrics, TensorBoardFileHoldsTheScalars) {
  Scratch scratch;
  auto options = options_for(scratch);
  options.tensorboard = scratch / "tensorboard";
  Metrics metrics(options);
  metrics.log(metrics_of(1));
  metrics.flush();
  const auto files = files_in(scratch / "tensorboard");
  ASSERT_EQ(files.size(), 1U);
  const std::string content = get(scratch / "tensorboard" / files[0]);
  for (const char* tag : {"train/loss", "train/lr", "train/samples_per_second", "train/epoch"})
    EXPECT_NE(content.find(tag), std::string::npos) << tag;
}

TEST(ProgressLine, SaysWhatMatters) {
  EXPECT_EQ(progress_text({.step = 120,
                           .samples_per_second = 81.26,
                           .loss = 0.12341,
                           .lr = 1e-4,
                           .eta_seconds = 192.0,
                           .tflops = 2.314,
                           .peak_share = 0.4081,
                           .data_share = 0.021,
                           .communicate_share = 0.05},
                          2000),
            "step 120/2000  eta 3m 12s  loss 0.1234  81.3 samples/s  2.31 TFLOP/s (41 %)  lr 1.00e-04  data 2 %  comm 5 %");
  EXPECT_EQ(progress_text({.step = 1}, 10), "step 1/10  eta ?  loss 0.0000  0.0 samples/s  lr 0.00e+00");
  EXPECT_EQ(duration_text(0), "0s");
  EXPECT_EQ(duration_text(59.6), "1m 00s");
  EXPECT_EQ(duration_text(3600 * 5 + 125), "5h 02m");
  EXPECT_EQ(duration_text(86400 * 2 + 3 * 3600), "2d 03h");
}

TEST(Metrics, AStepSaysWhereItsTimeWent) {
  Scratch scratch;
  Metrics metrics(options_for(scratch));
  metrics.start({.last_step = 100, .hosts = {"n1"}, .peak_tflops = 4, .config = "seed = 1\n"});
  metrics.log({.step = 2,
               .totals = {.steps = 2,
                          .seconds = 0.5,
                          .data_wait = 0.1,
                          .checkpoint = 0.02,
                          .flops = 1e12,
                          .phases = {0.004, 0.1, 0.2, 0.05, 0.046}}});
  const auto line = lines_of(scratch).back();
  for (const auto& [key, value] : std::vector<std::pair<const char*, double>>{{"step_ms", 250},
                                                                              {"tflops", 2},
                                                                              {"peak_share", 0.5},
                                                                              {"data_wait_ms", 50},
                                                                              {"data_ms", 2},
                                                                              {"forward_ms", 50},
                                                                              {"backward_ms", 100},
                                                                              {"communicate_ms", 25},
                                                                              {"optimize_ms", 23},
                                                                              {"checkpoint_ms", 20}})
    EXPECT_NEAR(line.at(key).get<double>(), value, 1e-9 * value) << key;
  EXPECT_FALSE(line.contains("eta_s")) << "one step is no pace";
}

TEST(Metrics, WithoutAPeakNoShareIsMadeUp) {
  Scratch scratch;
  Metrics metrics(options_for(scratch));
  metrics.start({.last_step = 100, .hosts = {"n1"}});
  metrics.log(metrics_of(1));
  EXPECT_TRUE(lines_of(scratch).back().contains("tflops"));
  EXPECT_FALSE(lines_of(scratch).back().contains("peak_share"));
}

TEST(Metrics, StartsKeepTheirConfigurationAndRanksTheirExtremes) {
  Scratch scratch;
  {
    Metrics metrics(options_for(scratch));
    metrics.start({.last_step = 100, .hosts = {"n1", "n2", "n3"}, .device = "CPU", .config = "seed = 1\n"});
    RankValues a, b, c;
    a.fill(std::nan(""));
    b = c = a;
    a[0] = 5;
    b[0] = 9;
    c[0] = 7;
    metrics.ranks(4, {a, b, c});
    const auto line = lines_of(scratch).back();
    EXPECT_EQ(line["compute_ms_min"], 5);
    EXPECT_EQ(line["compute_ms_median"], 7);
    EXPECT_EQ(line["compute_ms_max"], 9);
    EXPECT_EQ(line["compute_ms_max_rank"], 1);
    EXPECT_EQ(line["compute_ms_max_host"], "n2");
    EXPECT_FALSE(line.contains("gpu_power_w_min"));
  }
  Metrics again(options_for(scratch, 4));
  again.start({.first_step = 4, .last_step = 100, .hosts = {"n1"}, .config = "seed = 2\n"});
  const History history = read_history(scratch / "metrics.jsonl");
  ASSERT_EQ(history.starts.size(), 2U);
  EXPECT_EQ(history.starts[0].config, "seed = 1\n");
  EXPECT_EQ(history.starts[0].hosts, (std::vector<std::string>{"n1", "n2", "n3"}));
  EXPECT_EQ(history.starts[1].step, 4);
  EXPECT_EQ(history.starts[1].config, "seed = 2\n");
  EXPECT_EQ(history.maxima.at("compute_ms").at("rank 1 on n2"), 1);
  EXPECT_EQ(history.series.count("planned_mib"), 0U);
}

TEST(Metrics, ThePrometheusFileHoldsTheNewestState) {
  Scratch scratch;
  auto options = options_for(scratch);
  options.prometheus = scratch / "metrics.prom";
  options.export_seconds = 0;
  Metrics metrics(options);
  metrics.start({.last_step = 100, .hosts = {"n1", "n2"}, .device = "a \"quoted\" name", .planned_bytes = 4096});
  RankValues values;
  values.fill(std::nan(""));
  values[static_cast<std::size_t>(RankValue::GpuPowerW)] = 512.5;
  metrics.ranks(1, {values, values});
  metrics.log(metrics_of(1));
  metrics.log(metrics_of(2));
  const std::string text = get(scratch / "metrics.prom");
  const auto run = scratch.path().filename().string();
  for (const auto& line :
       {fmt::format("ldmpi_step{{run=\"{}\"}} 2\n", run), fmt::format("ldmpi_loss{{run=\"{}\"}} 0.5\n", run),
        fmt::format("ldmpi_phase_seconds{{run=\"{}\",phase=\"forward\"}} 0.03\n", run),
        fmt::format("DCGM_FI_DEV_POWER_USAGE{{run=\"{}\",rank=\"1\",Hostname=\"n2\"}} 512.5\n", run),
        std::string("device=\"a \\\"quoted\\\" name\"")})
    EXPECT_NE(text.find(line), std::string::npos) << line << "is not in\n" << text;
  EXPECT_EQ(text.find("ldmpi_rank_compute"), std::string::npos) << "nobody has measured that";
  EXPECT_EQ(files_in(scratch.path()).size(), 2U) << "a temporary file is left";
}

TEST(Metrics, WarnsOnceWhenTheJobEndsBeforeTheRun) {
  Scratch scratch;
  Metrics metrics(options_for(scratch));
  metrics.start({.last_step = 100, .hosts = {"n1"}, .job_end_seconds = std::int64_t{1}});
  testing::internal::CaptureStderr();
  for (std::int64_t step = 1; step <= 30; ++step) metrics.log(metrics_of(step));
  const std::string text = testing::internal::GetCapturedStderr();
  const std::size_t first = text.find("the end of this job");
  EXPECT_NE(first, std::string::npos) << text;
  EXPECT_EQ(text.find("the end of this job", first + 1), std::string::npos) << text;

  Scratch other;
  Metrics in_time(options_for(other));
  in_time.start({.last_step = 100, .hosts = {"n1"}, .job_end_seconds = std::int64_t{1} << 40});
  testing::internal::CaptureStderr();
  for (std::int64_t step = 1; step <= 30; ++step) in_time.log(metrics_of(step));
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("the end of this job"), std::string::npos);
}

std::string shown(bool terminal, std::int64_t every) {
  testing::internal::CaptureStderr();
  Progress progress({.first_step = 0, .last_step = 100, .every = every, .terminal = terminal});
  for (std::int64_t step = 1; step <= 100; ++step) progress.show({.step = step, .loss = 0.5});
  progress.end();
  return testing::internal::GetCapturedStderr();
}

TEST(ProgressLine, OnATerminalIsPaintedTenTimesASecondAtMost) {
  const std::string text = shown(true, 1);
  const auto paints = std::count(text.begin(), text.end(), '\r');
  EXPECT_GE(paints, 2);
  EXPECT_LE(paints, 20);
  EXPECT_NE(text.find("step 100/100"), std::string::npos);
  EXPECT_EQ(text.back(), '\n');
}

TEST(ProgressLine, ElsewhereIsAPlainLineNowAndThen) {
  const std::string text = shown(false, 25);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 5) << text;  // 1, 25, 50, 75, 100
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

}  // namespace
}  // namespace ldmpi::train::test
