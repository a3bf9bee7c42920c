#include "train/run_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "comm/signals.h"
#include "io/atomic_file.h"

namespace ldmpi::train {

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::uint64_t kMaxLockFile = 1 << 16;
constexpr milliseconds kPoll{100};

enum class Kernel { Locked, Busy, Unsupported };

/// An open-file-description lock: unlike the classic one it is not lost when any other descriptor of the file closes.
Kernel lock_file(int descriptor) {
  struct flock request {};
  request.l_type = F_WRLCK;
  request.l_whence = SEEK_SET;
  if (::fcntl(descriptor, F_OFD_SETLK, &request) == 0) return Kernel::Locked;
  return errno == EAGAIN || errno == EACCES ? Kernel::Busy : Kernel::Unsupported;
}

io::FileDescriptor open_lock_file(const fs::path& path, int flags = 0) {
  io::FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | flags, 0666));
  if (!file) io::fail_create("open the lock file", path, errno);
  return file;
}

std::optional<LockOwner> read_owner(const fs::path& path) {
  try {
    return parse_lock_owner(io::read_text_file(path, kMaxLockFile));
  } catch (const Error& error) {
    if (error.code() == Exit::MissingInput || error.code() == Exit::BadData) return {};
    throw;
  }
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::string new_token() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

bool process_exists(std::int64_t pid) {
  return ::kill(static_cast<pid_t>(pid), 0) == 0 || errno == EPERM;
}

/// The heartbeat as readers see it; opened anew each time so that a network file system asks its server.
std::pair<std::int64_t, std::int64_t> heartbeat_of(const fs::path& path) {
  const io::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return {0, 0};
  return {status.st_mtim.tv_sec, status.st_mtim.tv_nsec};
}

[[noreturn]] void fail_in_use(const fs::path& path, const LockOwner& owner) {
  fail(
      Exit::CannotCreate,
      "the run folder {} is in use by process {} on host {}{}: wait until that job has ended, stop it, or give another "
      "output_dir",
      path.parent_path().string(), owner.pid, owner.host,
      owner.job_id.empty() ? "" : fmt::format(" (job {})", owner.job_id));
}

/// Returns when the file has not been touched for `patience`, measured by this host's clock; fails if it is touched.
void wait_for_silence(const fs::path& path, const LockOwner& owner, milliseconds patience) {
  log::info("the run folder {} was last used by process {} on host {}; waiting up to {:.0f} s for a sign of life",
            path.parent_path().string(), owner.pid, owner.host, std::chrono::duration<double>(patience).count());
  const auto before = heartbeat_of(path);
  const Clock::time_point start = Clock::now();
  while (Clock::now() - start < patience) {
    comm::end_if_asked_to_stop();
    std::this_thread::sleep_for(std::min(kPoll, patience));
    if (heartbeat_of(path) != before) {
      const auto now = read_owner(path);
      if (!now) return;  // given back meanwhile
      fail_in_use(path, *now);
    }
  }
}

}  // namespace

std::string to_json(const LockOwner& owner) {
  const nlohmann::json json = {
      {"host", owner.host}, {"pid", owner.pid}, {"job_id", owner.job_id}, {"token", owner.token}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::optional<LockOwner> parse_lock_owner(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return {};
  LockOwner owner;
  const auto take = [&](const char* key, std::string& field) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_string()) return false;
    field = found->get<std::string>();
    return true;
  };
  const auto pid = json.find("pid");
  if (!take("host", owner.host) || !take("job_id", owner.job_id) || !take("token", owner.token) || pid == json.end() ||
      !pid->is_number_integer())
    return {};
  owner.pid = pid->get<std::int64_t>();
  return owner;
}

RunLock::RunLock(const fs::path& file, std::string job_id, LockTiming timing)
    : path_(file), self_{host_name(), ::getpid(), std::move(job_id), new_token()}, timing_(timing) {
  acquire();
  heartbeat_ = std::jthread([this](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!wake.wait_for(lock, stop, timing_.heartbeat, [&] { return stop.stop_requested(); }))
      if (!beat()) return;
  });
}

RunLock::~RunLock() {
  heartbeat_ = {};
  try {
    if (owned() && ::ftruncate(file_.get(), 0) != 0) log::warning("cannot give back the lock {}", path_.string());
  } catch (const Error& error) {
    log::warning("cannot give back the lock {}: {}", path_.string(), error.what());
  }
}

bool RunLock::beat() const {
  try {
    if (!owned()) {
      log::error("another job has taken over {}: this one saves no more checkpoints", path_.parent_path().string());
      return false;
    }
  } catch (const Error& error) {
    log::warning("cannot read the lock {}: {}", path_.string(), error.what());
  }
  ::futimens(file_.get(), nullptr);
  return true;
}

bool RunLock::owned() const {
  const auto owner = read_owner(path_);
  return owner && owner->token == self_.token;
}

void RunLock::acquire() {
  file_ = open_lock_file(path_);
  Kernel kernel = lock_file(file_.get());
  std::optional<LockOwner> owner = read_owner(path_);
  // Busy under no name or a foreign one: perhaps somebody here has just locked it and not yet written, or is leaving.
  for (int attempt = 0; kernel == Kernel::Busy && !(owner && owner->host == self_.host) && attempt < 10; ++attempt) {
    std::this_thread::sleep_for(kPoll);
    kernel = lock_file(file_.get());
    owner = read_owner(path_);
  }
  if (kernel == Kernel::Unsupported)
    log::warning("the file system of {} has no file locks: the run is guarded by the content of the file only",
                 path_.string());

  if (!owner) {
    if (kernel == Kernel::Busy) fail_in_use(path_, {.host = "unknown", .pid = 0, .job_id = {}, .token = {}});
    return claim();
  }
  const bool same_host = owner->host == self_.host;
  if (kernel == Kernel::Busy && same_host) fail_in_use(path_, *owner);  // the kernel itself vouches for the owner
  const bool dead = same_host && (kernel == Kernel::Locked || !process_exists(owner->pid));
  const bool same_job = !self_.job_id.empty() && owner->job_id == self_.job_id;
  if (!dead && !same_job) wait_for_silence(path_, *owner, timing_.patience);
  log::info("took over the run folder {} from process {} on host {}{}", path_.parent_path().string(), owner->pid,
            owner->host, dead ? ", which is dead" : "");
  // A lock that a dead host still holds on a server cannot be had: a new file takes the name.
  if (kernel == Kernel::Busy && lock_file(file_.get()) == Kernel::Busy) return replace();
  claim();
}

void RunLock::claim() {
  const std::string text = to_json(self_);
  if (::ftruncate(file_.get(), 0) != 0) io::fail_create("write", path_, errno);
  io::write_at(file_, std::as_bytes(std::span(text)), 0, path_);
  io::sync(file_, path_);
  // The name may meanwhile lead to another file, or two hosts without common locks may have claimed at once.
  require(owned(), Exit::CannotCreate, "another job took the run folder {} at the same moment",
          path_.parent_path().string());
}

void RunLock::replace() {
  const fs::path temporary = path_.string() + ".tmp-" + self_.token;
  file_ = open_lock_file(temporary, O_EXCL);
  (void)lock_file(file_.get());
  const std::string text = to_json(self_);
  io::write_at(file_, std::as_bytes(std::span(text)), 0, temporary);
  io::sync(file_, temporary);
  if (std::rename(temporary.c_str(), path_.c_str()) != 0) io::fail_create("rename to", path_, errno);
  require(owned(), Exit::CannotCreate, "another job took the run folder {} at the same moment",
          path_.parent_path().string());
}

}  // namespace ldmpi::train
