#pragma once
// Exclusive use of a run folder: two jobs must never write one. Only rank 0 has one.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "io/file.h"

namespace ldmpi::train {

/// Who holds a lock; the content of RUN/LOCK.
struct LockOwner {
  std::string host;
  std::int64_t pid = 0;
  std::string job_id;  ///< of the batch system; may be empty
  std::string token;   ///< unlike for every acquisition

  friend bool operator==(const LockOwner&, const LockOwner&) = default;
};

[[nodiscard]] std::string to_json(const LockOwner& owner);
/// Nothing for text that is not an owner (a released or torn lock file).
[[nodiscard]] std::optional<LockOwner> parse_lock_owner(std::string_view json);

struct LockTiming {
  std::chrono::milliseconds heartbeat{10'000};  ///< interval at which the owner touches the file
  std::chrono::milliseconds patience{60'000};   ///< no touch for so long: the owner is taken for dead
};

/// Holds RUN/LOCK: an fcntl lock on it, the owner's name in it, and a thread that renews its modification time.
/// Taken over at once when the owner is dead on this host or has the same (non-empty) job id and is not proven alive on
/// this host; otherwise when its heartbeat has been missing for `patience`, which the constructor waits for.
class RunLock {
 public:
  /// Errors: CannotCreate that names the live owner; CannotCreate, NoPermission if the file cannot be made.
  RunLock(const std::filesystem::path& file, std::string job_id, LockTiming timing = {});
  /// Gives the lock back if it is still owned. The file stays, empty.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// Reads the file again: false once another job has taken over. Callable from any thread.
  [[nodiscard]] bool owned() const;
  [[nodiscard]] const LockOwner& owner() const noexcept { return self_; }

 private:
  void acquire();
  void claim();
  void replace();
  bool beat() const;  // false once another job has taken over

  std::filesystem::path path_;
  LockOwner self_;
  LockTiming timing_;
  io::FileDescriptor file_;
  std::jthread heartbeat_;
};

}  // namespace ldmpi::train
