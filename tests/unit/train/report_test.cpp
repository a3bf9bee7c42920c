#include "train/report.h"

#include <cmath>
#include <limits>

#include "fixture.h"
#include "io/image.h"
#include "train/report_chart.h"

namespace ldmpi::train::test {
namespace {

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++n;
  return n;
}

/// Every tag is closed in order: enough of a parser for a page that is written as XML.
void expect_balanced(const std::string& html) {
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const std::size_t end = html.find('>', at);
    ASSERT_NE(end, std::string::npos);
    const std::string tag = html.substr(at + 1, end - at - 1);
    ASSERT_EQ(tag.find('<'), std::string::npos) << tag;
    if (tag.starts_with('!') || tag.ends_with('/')) continue;
    if (tag.starts_with('/')) {
      ASSERT_FALSE(open.empty()) << tag;
      ASSERT_EQ(open.back(), tag.substr(1)) << at;
      open.pop_back();
    } else {
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  EXPECT_TRUE(open.empty());
}

std::string metrics_text(int steps) {
  std::string text;
  for (int step = 1; step <= steps; ++step) {
    text += fmt::format(
        "{{\"step\":{},\"loss\":{},\"lr\":1e-4,\"grad_norm\":{},\"samples_per_second\":{},\"data_wait_ms\":0.5}}\n",
        step, 0.1 + 1.0 / step, 1.0 + 0.1 * (step % 7), 80 + step % 5);
    if (step == 20) text += "{\"restart\":1,\"step\":20}\n";
    if (step % 10 == 0)
      text += fmt::format("{{\"event\":\"validation\",\"step\":{},\"validation_loss\":{}}}\n", step, 0.2 + 1.0 / step);
  }
  return text;
}

TEST(Report, ShowsCurvesPicturesAndConfiguration) {
  Scratch scratch;
  put(scratch / "run/metrics.jsonl", metrics_text(50));
  put(scratch / "run/config.cfg", "# comment\noutput_dir = run\n\n[optimizer]\nlearning_rate = 1e-4\n");
  put(scratch / "run/checkpoints/latest", "step-00000050\n");
  std::filesystem::create_directories(scratch / "run/samples");
  io::write_png(scratch / "run/samples/step-00000050.png",
                {.width = 2, .height = 1, .channels = 3, .pixels = {1, 2, 3, 4, 5, 6}});
  put(scratch / "run/samples/not-really.png", "text");
  write_report(scratch / "run", scratch / "run/report.html");
  const std::string html = get(scratch / "run/report.html");
  expect_balanced(html);
  EXPECT_EQ(count(html, "<svg "), 6U);
  EXPECT_EQ(count(html, "restarted from step 20"), 6U);
  EXPECT_EQ(count(html, "data:image/png;base64,iVBORw0KGgo"), 1U);
  EXPECT_NE(html.find("not-really.png is left out"), std::string::npos);
  EXPECT_NE(html.find("<td>learning_rate</td><td>1e-4</td>"), std::string::npos);
  EXPECT_NE(html.find("<caption>optimizer</caption>"), std::string::npos);
  EXPECT_NE(html.find("step-00000050"), std::string::npos);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("http"), std::string::npos) << "the page must not need the network";
}

TEST(Report, ShowsWhereTheTimeWentTheRanksAndTheStarts) {
  Scratch scratch;
  std::string text =
      R"({"event":"start","step":0,"time":1000,"ranks":2,"hosts":["n1","n2"],"device":"CPU <x>","config":"seed = 7\ncheckpoint.every = 10\n"})"
      "\n";
  for (int step = 1; step <= 30; ++step) {
    text += fmt::format(
        R"({{"step":{},"loss":0.5,"step_ms":100,"forward_ms":25,"backward_ms":50,"communicate_ms":10,"optimize_ms":5,)"
        R"("data_wait_ms":2,"data_ms":0,"tflops":1.5,"peak_share":0.375}})"
        "\n",
        step);
    if (step % 10 == 0)
      text += fmt::format(
          R"({{"event":"ranks","step":{},"compute_ms_min":70,"compute_ms_median":75,"compute_ms_max":90,)"
          R"("compute_ms_max_rank":{},"compute_ms_max_host":"n2"}})"
          "\n",
          step, step == 10 ? 0 : 1);
    if (step == 20)
      text +=
          "{\"restart\":1,\"step\":20}\n"
          R"({"event":"start","step":20,"time":2000,"ranks":4,"hosts":["n3"],"config":"seed = 7\ncheckpoint.every = 5\n"})"
          "\n";
  }
  put(scratch / "run/metrics.jsonl", text);
  const std::string html = report_html(scratch / "run");
  expect_balanced(html);
  for (const char* part :
       {"forward 25.0 %", "backward 50.0 %", "exposed communication 10.0 %", "the rest 8.0 %", "Arithmetic of a device",
        "Share of peak", "<td>70</td><td>75</td><td>90</td><td>rank 1 on n2, 67 % of the time</td>", "n1, n2: CPU &lt;x&gt;",
        "first start", "checkpoint.every: 10 &#8594; 5", "1970-01-01 00:33 UTC"})
    EXPECT_NE(html.find(part), std::string::npos) << part;
  EXPECT_EQ(html.find("seed: 7"), std::string::npos) << "what did not change is no change";
}

TEST(Report, EscapesWhateverItShows) {
  Scratch scratch;
  const std::string evil = "<script>alert('x')&\"";
  put(scratch / evil / "config.cfg", "[" + evil + "]\nkey" + evil + " = " + evil + "\n");
  put(scratch / evil / "samples" / (evil + ".png"), evil);
  put(scratch / evil / "metrics.jsonl",
      "{\"step\":1,\""
      "<b>\":3}\n" +
          evil + "\n");
  const std::string html = report_html(scratch / evil);
  expect_balanced(html);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("<b>\""), std::string::npos);
  EXPECT_GE(count(html, "&lt;script&gt;alert(&#39;x&#39;)&amp;&quot;"), 4U);
  EXPECT_EQ(escape_html("a<b>&\"'"), "a&lt;b&gt;&amp;&quot;&#39;");
}

TEST(Report, OfARunThatHasJustBegun) {
  Scratch scratch;
  put(scratch / "config.cfg", "seed = 1\n");
  const std::string html = report_html(scratch.path());
  expect_balanced(html);
  EXPECT_NE(html.find("no step has been recorded yet"), std::string::npos);
}

TEST(Report, RefusesWhatIsNoRun) {
  Scratch scratch;
  expect_error(Exit::MissingInput, "not a run folder", [&] { (void)report_html(scratch.path()); });
  expect_error(Exit::MissingInput, "no run folder", [&] { (void)report_html(scratch / "absent"); });
}

TEST(Chart, TicksAreRoundAndInside) {
  EXPECT_EQ(axis_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ(axis_ticks(-1, 1, 4), (std::vector<double>{-1, -0.5, 0, 0.5, 1}));
  for (const double low : {-3.7, 0.0, 1e-9, 12345.678})
    for (const double width : {1e-12, 0.3, 7.0, 1e9}) {
      const double high = low + width;
      if (high == low) continue;
      const auto ticks = axis_ticks(low, high, 6);
      EXPECT_LE(ticks.size(), 13U);
      for (const double tick : ticks) {
        EXPECT_GE(tick, low - width * 1e-3);
        EXPECT_LE(tick, high + width * 1e-3);
      }
    }
}

TEST(Chart, EveryPlaceIsFiniteAndInsideThePicture) {
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<std::pair<std::int64_t, double>>> cases{{},
                                                                        {{1, 0.0}},
                                                                        {{5, -2.0}, {5, -2.0}},
                                                                        {{1, 1e-30}, {2, 1e30}},
                                                                        {{1, std::nan("")}, {2, inf}, {3, 1.0}},
                                                                        {{1, -5.0}, {1000000, 7e-8}},
                                                                        {{1, 1e308}, {2, -1e308}}};
  for (const auto& points : cases) {
    const std::string html =
        chart_html({.title = "t", .unit = "", .logarithmic = true, .points = points, .restarts = {1, 2, 99}});
    expect_balanced(html);
    EXPECT_EQ(html.find("nan"), std::string::npos) << html;
    EXPECT_EQ(html.find("inf"), std::string::npos) << html;
  }
}

TEST(Chart, ManyStepsBecomeAFewHundredPoints) {
  Chart chart{.title = "loss", .unit = "", .points = {}, .restarts = {}};
  for (std::int64_t step = 1; step <= 100'000; ++step)
    chart.points.emplace_back(step, std::sin(static_cast<double>(step)) + 2);
  EXPECT_LT(chart_html(chart).size(), 30'000U);
}

}  // namespace
}  // namespace ldmpi::train::test
