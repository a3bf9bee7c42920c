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

int run(const config::ReportConfig& config, Invocation&) {
  const std::filesystem::path target =
      config.out.empty() ? std::filesystem::path(config.run) / "report.html" : std::filesystem::path(config.out);
  train::write_report(config.run, target);
  fmt::print("{}\n", target.string());
  return 0;
}

}  // namespace ldmpi::app
