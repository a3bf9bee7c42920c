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
          .restored_step = restored,
          .progress = {.first_step = restored, .last_step = 100, .every = 1000, .terminal = false}};
}

StepMetrics metrics_of(std::int64_t step) {
  return {.step = step,
          .loss = 1.0 / static_cast<double>(step),
          .lr = 1e-4,
          .grad_norm = 0.5,
          .samples_per_second = 80,
          .data_wait_ms = 0.25,
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
  for (const char* key : {"step", "loss", "lr", "grad_norm", "samples_per_second", "data_wait_ms", "epoch", "time"})
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
  EXPECT_EQ(progress_text({.step = 120, .samples_per_second = 81.26, .loss = 0.12341, .lr = 1e-4}, 2000, 192.0),
            "step 120/2000  81.3 samples/s  loss 0.1234  lr 1.00e-04  eta 3m 12s");
  EXPECT_NE(progress_text({.step = 1}, 10, {}).find("eta ?"), std::string::npos);
  EXPECT_EQ(duration_text(0), "0s");
  EXPECT_EQ(duration_text(59.6), "1m 00s");
  EXPECT_EQ(duration_text(3600 * 5 + 125), "5h 02m");
  EXPECT_EQ(duration_text(86400 * 2 + 3 * 3600), "2d 03h");
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
