#include <fmt/format.h>

#include <string_view>

#include "app/commands.h"
#include "base/build_info.h"
#include "train/report.h"

namespace ldmpi::app {

std::string version_text() {
  std::string text = fmt::format("ldmpi {}\n{}\n", version(), build_id());
  for (const char c : std::string_view(LDMPI_LIBRARIES)) text += c == ';' ? '\n' : c;
  return text + "\n";
}

int run(const config::ReportConfig& config, Invocation& invocation) {
  if (invocation.environment.rank != 0) return 0;
  const std::filesystem::path target =
      config.out.empty() ? std::filesystem::path(config.run) / "report.html" : std::filesystem::path(config.out);
  train::write_report(config.run, target);
  fmt::print("{}\n", target.string());
  return 0;
}

int run(const config::TopConfig&, Invocation&) {
  fail(Exit::BadConfig, "ldmpi top is not part of this version; follow RUN/metrics.jsonl or use ldmpi report RUN");
}

int run(const config::DoctorConfig&, Invocation&) {
  fail(Exit::BadConfig, "ldmpi doctor is not part of this version");
}

}  // namespace ldmpi::app
