#include "comm/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <exception>

#include "base/log.h"
#include "comm/agree.h"

namespace ldmpi::comm {
namespace {

/// An exception that leaves a thread: the process ends with a message, and its launcher ends the other ranks.
[[noreturn]] void on_terminate() {
  const auto exception = std::current_exception();
  const Failure failure = exception ? describe(exception) : Failure{Exit::Internal, "terminated without an exception"};
  log::error("{} (left a thread)", failure.message);
  log::flush();
  _exit(static_cast<int>(failure.code));
}

/// A stop on request is no error.
log::Level level_of(Exit code) {
  return code == Exit::Requeue ? log::Level::Info : log::Level::Error;
}

}  // namespace

int run_ranks(const Environment& environment, const std::function<int(Communicator&)>& body) {
  log::set_rank(environment.rank, environment.ranks);
  std::set_terminate(on_terminate);
  std::unique_ptr<Communicator> communicator;
  try {
    die_with_launcher(environment);
    communicator = make_communicator(environment);
    const int code = body(*communicator);
    log::flush();
    return code;
  } catch (const AgreedError& e) {
    log::write_of_all(level_of(e.code()), e.what());
    log::flush();
    return static_cast<int>(e.code());
  } catch (...) {
    const Failure failure = describe(std::current_exception());
    if (environment.ranks == 1)
      log::write(level_of(failure.code), failure.message);
    else
      log::error("on {}: {}", environment.host, failure.message);
    log::flush();
    if (environment.ranks > 1) end_all_ranks(static_cast<int>(failure.code));
    return static_cast<int>(failure.code);
  }
}

}  // namespace ldmpi::comm
