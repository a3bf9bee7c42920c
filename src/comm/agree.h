#pragma once
// Phases that may fail on some ranks only (files, devices, memory) end in the same way on all of them.

#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "comm/communicator.h"

namespace ldmpi::comm {

/// An error that every rank throws together, with the same code and message: the job can end in order.
class AgreedError : public Error {
 public:
  using Error::Error;
};

/// Exit code and message for any exception; never throws it on. Error keeps its code, file system errors become
/// IoError, NoPermission or MissingInput, all others Internal.
struct Failure {
  Exit code = Exit::Internal;
  std::string message;
};
[[nodiscard]] Failure describe(const std::exception_ptr& exception);

/// Ends a phase in which this rank met `exception` (null: none). If any rank failed, all ranks throw AgreedError with
/// code and message of the lowest failing rank, "rank 3 on node17: ...", and the list of the others that failed; where
/// all ranks say the same, the message alone.
void settle(Communicator& communicator, const std::exception_ptr& exception);

/// Runs `phase` on every rank and settles. The phase must not communicate, except by agree itself. Returns its result.
template <typename F>
std::invoke_result_t<F&> agree(Communicator& communicator, F&& phase) {
  using Result = std::invoke_result_t<F&>;
  std::exception_ptr exception;
  if constexpr (std::is_void_v<Result>) {
    try {
      phase();
    } catch (...) {
      exception = std::current_exception();
    }
    settle(communicator, exception);
  } else {
    std::optional<Result> result;
    try {
      result.emplace(phase());
    } catch (...) {
      exception = std::current_exception();
    }
    settle(communicator, exception);
    return std::move(*result);
  }
}

/// Throws AgreedError(code) on all ranks unless `value` is the same text everywhere: names the odd ranks, their hosts
/// and both values. `name` reads as in "the ranks differ in NAME", e.g. "their build". `fix` tells what to do.
void agree_equal(Communicator& communicator, std::string_view name, std::string_view value, std::string_view fix,
                 Exit code = Exit::BadConfig);

}  // namespace ldmpi::comm
