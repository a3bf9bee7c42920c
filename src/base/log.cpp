#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>

#include "base/check.h"

namespace ldmpi::log {
namespace {

spdlog::level::level_enum spd(Level level) {
  switch (level) {
    case Level::Debug: return spdlog::level::debug;
    case Level::Info: return spdlog::level::info;
    case Level::Warning: return spdlog::level::warn;
    case Level::Error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

struct Sinks {
  std::mutex mutex;
  std::shared_ptr<spdlog::sinks::stderr_sink_mt> console = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  std::shared_ptr<spdlog::sinks::basic_file_sink_mt> file;
  Level level = Level::Info;
  int rank = 0;
  int ranks = 1;

  Sinks() { console->set_pattern("%v"); }
};

Sinks& sinks() {
  static Sinks instance;
  return instance;
}

void emit(spdlog::sinks::sink& sink, Level level, std::string_view message) {
  sink.log(spdlog::details::log_msg("ldmpi", spd(level), spdlog::string_view_t(message.data(), message.size())));
}

void to_console(Level level, std::string_view message, bool speaks, const std::string& who) {
  if (!speaks || level < sinks().level) return;
  const std::string_view kind = level == Level::Error ? "error: " : level == Level::Warning ? "warning: " : "";
  emit(*sinks().console, level, fmt::format("{}{}{}", who, kind, message));
}

void to_file(Level level, std::string_view message) {
  if (!sinks().file || level < Level::Info) return;
  emit(*sinks().file, level, message);
  if (level >= Level::Warning) sinks().file->flush();
}

}  // namespace

void set_rank(int rank, int ranks) {
  std::scoped_lock lock(sinks().mutex);
  sinks().rank = rank;
  sinks().ranks = ranks;
}

void set_level(Level level) {
  std::scoped_lock lock(sinks().mutex);
  sinks().level = level;
}

void open_file(const std::filesystem::path& path) {
  std::scoped_lock lock(sinks().mutex);
  try {
    sinks().file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
  } catch (const spdlog::spdlog_ex& e) {
    fail(Exit::CannotCreate, "cannot open the log file {}: {}", path.string(), e.what());
  }
  sinks().file->set_pattern("%Y-%m-%dT%H:%M:%S.%e %L %v");
}

void close_file() {
  std::scoped_lock lock(sinks().mutex);
  sinks().file.reset();
}

void write(Level level, std::string_view message) {
  std::scoped_lock lock(sinks().mutex);
  const auto& s = sinks();
  const bool names_rank = level == Level::Error && s.ranks > 1;
  to_console(level, message, s.rank == 0 || level == Level::Error, names_rank ? fmt::format("rank {}: ", s.rank) : "");
  to_file(level, message);
}

void write_of_all(Level level, std::string_view message) {
  std::scoped_lock lock(sinks().mutex);
  to_console(level, message, sinks().rank == 0, "");
  to_file(level, message);
}

void flush() {
  std::scoped_lock lock(sinks().mutex);
  sinks().console->flush();
  if (sinks().file) sinks().file->flush();
}

}  // namespace ldmpi::log
