#pragma once
// The log: rank 0 speaks on stderr, every rank may have a file. The only process-wide object of the program.

#include <fmt/format.h>

#include <filesystem>
#include <string_view>
#include <utility>

namespace ldmpi::log {

enum class Level { Debug, Info, Warning, Error };

/// Says who writes: messages of rank 0 go to stderr, other ranks' only if they are errors.
/// Before the first call the process counts as rank 0 of 1.
void set_rank(int rank, int ranks);

/// Messages below `level` are dropped on stderr; the file gets everything from Info.
void set_level(Level level);

/// Also append every message to this file (opened for appending; failure throws Error(CannotCreate)).
void open_file(const std::filesystem::path& path);

/// Closes the file and forgets it.
void close_file();

void write(Level level, std::string_view message);
/// A message that every rank has, alike: rank 0 writes it for all of them, the others note it in their files.
void write_of_all(Level level, std::string_view message);
/// Makes everything written so far visible to readers of the file.
void flush();

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::Debug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::Info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::Warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::Error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace ldmpi::log
