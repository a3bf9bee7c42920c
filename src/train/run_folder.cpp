#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/check.h"
#include "io/file.h"
#include "train/draw_log.h"

namespace ldmpi::train {

namespace {

namespace fs = std::filesystem;

/// Fails with what the user needs to mend it: path, reason, owner and mode of the folder, and who is asking.
[[noreturn]] void fail_folder(const fs::path& folder, int error) {
  const Exit code = error == EACCES || error == EPERM || error == EROFS ? Exit::NoPermission : Exit::CannotCreate;
  fs::path existing = folder;
  struct stat status {};
  while (::stat(existing.c_str(), &status) != 0 && existing.has_relative_path()) existing = existing.parent_path();
  fail(code,
       "cannot write the run folder {}: {}. {} belongs to user {} and has the mode {:04o}; this process is user {}. "
       "Make it writable or give another output_dir",
       folder.string(), std::strerror(error), existing.string(), status.st_uid, status.st_mode & 07777U, ::geteuid());
}

void check_writable(const fs::path& folder) {
  const fs::path probe = folder / fmt::format(".tmp-probe-{}", ::getpid());
  const io::FileDescriptor file(::open(probe.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file) fail_folder(folder, errno);
  ::unlink(probe.c_str());
}

}  // namespace

fs::path RunFolder::rank_log(int rank) const {
  return logs() / fmt::format("rank-{:05}.log", rank);
}

fs::path RunFolder::draw_log(int rank) const {
  return logs() / fmt::format("{}{:05}.tsv", kDrawLogPrefix, rank);
}

bool RunFolder::is_used() const {
  std::error_code error;
  if (fs::exists(config(), error) || fs::exists(metrics(), error)) return true;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints(), error))
    if (entry.path().filename().string().starts_with("step-")) return true;
  return false;
}

RunFolder prepare_run_folder(const fs::path& root) {
  RunFolder run(fs::absolute(root).lexically_normal());
  for (const fs::path& folder : {run.root(), run.logs(), run.samples(), run.checkpoints(), run.tensorboard()}) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) fail_folder(folder, error.value());
    if (!fs::is_directory(folder)) fail_folder(folder, ENOTDIR);
    check_writable(folder);
  }
  return run;
}

}  // namespace ldmpi::train
