#include "train/run_watch.h"

#include "fixture.h"
#include "train/top_frame.h"

namespace ldmpi::train::test {
namespace {

constexpr const char* kStart =
    R"({"event":"start","step":0,"time":1000,"max_train_steps":100,"ranks":3,"hosts":["n1","n2"],"device":"CPU","planned_mib":64,"job_end":5000})"
    "\n";

std::string step_line(int step, double loss) {
  return fmt::format(
      R"({{"step":{},"time":{},"loss":{},"lr":1e-4,"grad_norm":0.5,"samples_per_second":80,"step_ms":100,"tflops":1.5,)"
      R"("data_wait_ms":10,"data_ms":0,"forward_ms":30,"backward_ms":50,"communicate_ms":5,"optimize_ms":3,"eta_s":{}}})"
      "\n",
      step, 1000 + step, loss, 100 - step);
}

void append(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary | std::ios::app) << text;
}

TEST(RunWatch, ReadsOnlyWhatIsWholeAndThenTheRest) {
  Scratch scratch;
  const auto file = scratch / "metrics.jsonl";
  RunWatch watch(scratch.path());
  watch.look();
  EXPECT_FALSE(watch.picture().started);
  append(file, kStart + step_line(1, 0.9));
  const auto second = step_line(2, 0.8);
  append(file, second.substr(0, 20));
  watch.look();
  EXPECT_EQ(watch.picture().step, 1);
  EXPECT_EQ(watch.picture().ranks, 3);
  EXPECT_EQ(watch.picture().hosts, 2U);
  EXPECT_EQ(watch.picture().value("loss"), 0.9);
  append(file, second.substr(20));
  watch.look();
  EXPECT_EQ(watch.picture().step, 2);
  EXPECT_EQ(watch.picture().value("loss"), 0.8);
  EXPECT_EQ(watch.picture().loss.means(10), (std::vector<double>{0.9, 0.8}));
}

TEST(RunWatch, DamagedLinesAndNumbersThatAreNoneDoNotDisturb) {
  Scratch scratch;
  put(scratch / "metrics.jsonl", std::string(kStart) + "{\"step\": 1, \"lo\nnonsense\n[1,2]\n{\"step\":\"x\"}\n" +
                                     step_line(2, 0.5) + "{\"step\":3,\"loss\":null,\"hosts\":7}\n" + std::string(3, '\0'));
  RunWatch watch(scratch.path());
  watch.look();
  EXPECT_EQ(watch.picture().step, 3);
  EXPECT_FALSE(watch.picture().value("loss")) << "the last loss was not finite";
  EXPECT_EQ(watch.picture().loss.means(10), (std::vector<double>{0.5}));
}

TEST(RunWatch, ARestartedRunIsReadAnew) {
  Scratch scratch;
  const auto file = scratch / "metrics.jsonl";
  put(file, kStart + step_line(1, 0.9) + step_line(2, 0.8) + step_line(3, 0.7));
  RunWatch watch(scratch.path());
  watch.look();
  EXPECT_EQ(watch.picture().step, 3);
  // As drop_history_after: another file under the same name.
  put(scratch / "new", kStart + step_line(1, 0.9) + "{\"restart\":1,\"step\":1,\"time\":2000}\n" + step_line(2, 0.85));
  std::filesystem::rename(scratch / "new", file);
  watch.look();
  EXPECT_EQ(watch.picture().step, 2);
  EXPECT_EQ(watch.picture().restarts, 1);
  EXPECT_EQ(watch.picture().loss.means(10), (std::vector<double>{0.9, 0.85}));
  std::filesystem::remove(file);
  watch.look();
  EXPECT_FALSE(watch.picture().started);
}

TEST(RunWatch, ALongRunTakesBoundedMemory) {
  Trail trail;
  for (int i = 0; i < 1000000; ++i) trail.add(i < 500000 ? 1.0 : 3.0);
  EXPECT_EQ(trail.means(2).size(), 2U);
  EXPECT_NEAR(trail.means(2)[0], 1.0, 0.1);
  EXPECT_NEAR(trail.means(2)[1], 3.0, 0.1);
  EXPECT_LE(trail.means(1000000).size(), 2049U);
}

TEST(TopFrame, SaysWhatIsGoingOnWithinItsColumns) {
  Scratch scratch;
  std::string text = kStart;
  for (int step = 1; step <= 40; ++step) text += step_line(step, 1.0 / step);
  text += R"({"event":"ranks","step":40,"time":1040,"compute_ms_min":70,"compute_ms_median":80,"compute_ms_max":95.5,"compute_ms_max_rank":2,"compute_ms_max_host":"n2"})"
          "\n"
          R"({"event":"checkpoint","step":40,"time":1040,"checkpoint_step":40,"checkpoint_stall_ms":2.5})"
          "\n";
  put(scratch / "metrics.jsonl", text);
  put(scratch / "checkpoints/latest", "step-00000040\n");
  put(scratch / "logs/rank-00000.log",
      "2026-01-31T12:00:00.000 I all is well\n2026-01-31T12:00:01.000 W the disk is nearly full\n");
  RunWatch watch(scratch.path());
  watch.look();
  std::string page;
  for (const auto& line : top_frame(watch.picture(), {.name = "myrun", .columns = 120, .now = 1042})) page += line + "\n";
  for (const char* part :
       {"myrun   running, last line 2s ago", "40 / 100", " 40.0 %", "eta 58s", "the job's time ends in 1h 05m", "0.0250",
        "80.0", "1.5 TFLOP/s", "100.00 ms", "50.00 ms  50.0 %", "exposed communication", "the rest", "3 on 2 hosts",
        "95.50  rank 2 on n2", "step-00000040   training waited 2.5 ms", "W the disk is nearly full"})
    EXPECT_NE(page.find(part), std::string::npos) << part << " is not in\n" << page;
  EXPECT_EQ(page.find("all is well"), std::string::npos);

  for (const auto& line : top_frame(watch.picture(), {.name = "myrun", .columns = 30, .now = 1042, .blocks = false})) {
    EXPECT_LE(line.size(), 30U);
    for (const char c : line) EXPECT_GE(c, ' ') << line;  // ASCII only
  }
  const auto later = top_frame(watch.picture(), {.name = "myrun", .columns = 120, .now = 5000});
  EXPECT_NE(later[0].find("silent, last line 1h 06m ago"), std::string::npos) << later[0];
}

TEST(TopFrame, KnowsTheEndAndTheBegin) {
  Scratch scratch;
  RunWatch watch(scratch.path());
  watch.look();
  EXPECT_NE(top_frame(watch.picture(), {.name = "r"})[0].find("no record yet"), std::string::npos);
  put(scratch / "metrics.jsonl", kStart + step_line(100, 0.1));
  std::filesystem::create_directories(scratch / "final");
  watch.look();
  EXPECT_NE(top_frame(watch.picture(), {.name = "r", .now = 9999})[0].find("finished"), std::string::npos);
}

TEST(TopFrame, CutsBetweenCharacters) {
  EXPECT_EQ(fitting("a█b", 2), "a█");
  EXPECT_EQ(fitting("a█b", 9), "a█b");
  EXPECT_EQ(sparkline(std::vector<double>{0, 1, 0.5}, false), "_@+");
  EXPECT_EQ(sparkline({}, true), "");
}

}  // namespace
}  // namespace ldmpi::train::test
