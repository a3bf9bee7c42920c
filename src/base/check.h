#pragma once
// Errors: one exception type that carries the exit code of the process, and the checks that throw it.

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace ldmpi {

/// Exit codes of every program of the project, the same under mpirun and srun (docs/running.md).
enum class Exit : int {
  Done = 0,
  BadData = 65,       ///< damaged or wrong data, weights, model config.json
  MissingInput = 66,  ///< an input file or folder does not exist
  NoDevice = 69,      ///< no usable device, driver or library
  Internal = 70,      ///< a defect of the program itself
  CannotCreate = 73,  ///< output cannot be created, run folder in use
  IoError = 74,       ///< I/O error while running
  Requeue = 75,       ///< stopped in order: start the same command again
  Numerical = 76,     ///< numerical failure
  NoPermission = 77,  ///< permission denied
  BadConfig = 78,     ///< unknown, malformed or contradictory option
};

/// An error with a message for the user (what, where, why, how to fix) and the exit code it ends the process with.
class Error : public std::runtime_error {
 public:
  Error(Exit code, const std::string& message) : std::runtime_error(message), code_(code) {}
  [[nodiscard]] Exit code() const noexcept { return code_; }

 private:
  Exit code_;
};

/// Throws Error(code) with a formatted message.
template <typename... Args>
[[noreturn]] void fail(Exit code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws Error(code) with a formatted message unless `condition` holds. For conditions that the outside world causes.
template <typename... Args>
void require(bool condition, Exit code, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) [[unlikely]]
    fail(code, format, std::forward<Args>(args)...);
}

/// Throws Error(Exit::Internal) naming file and line; the body of LDMPI_CHECK.
[[noreturn]] void check_failed(const char* expression, const std::string& message, const char* file, int line);

}  // namespace ldmpi

/// Invariant of the program: throws Error(Exit::Internal) with the expression, file, line and a formatted message.
#define LDMPI_CHECK(condition, ...)                                                      \
  do {                                                                                   \
    if (!(condition)) [[unlikely]]                                                       \
      ::ldmpi::check_failed(#condition, ::fmt::format(__VA_ARGS__), __FILE__, __LINE__); \
  } while (false)
