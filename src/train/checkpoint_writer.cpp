#include "train/checkpoint_writer.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/file.h"
#include "train/retention.h"

namespace ldmpi::train {

namespace {

namespace fs = std::filesystem;

/// A bad path, a full disk or an exceeded quota shall end the job in its first second, not at the first save.
void write_probe(const fs::path& checkpoints) {
  const fs::path probe = checkpoints / fmt::format(".tmp-probe-{}", ::getpid());
  ::unlink(probe.c_str());
  try {
    const io::FileDescriptor file = io::create_new(probe);
    const std::vector<std::byte> bytes(std::size_t{1} << 20, std::byte{0x5a});
    io::write_at(file, bytes, 0, probe);
    io::sync(file, probe);
    ::unlink(probe.c_str());
  } catch (const Error& error) {
    ::unlink(probe.c_str());
    fail(error.code() == Exit::NoPermission ? Exit::NoPermission : Exit::CannotCreate,
         "checkpoints cannot be written: {}. Make room or give another output_dir", error.what());
  }
}

/// Job ids come from outside: only what is harmless in a file name.
std::string file_name_part(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return text.empty() ? "0" : text.substr(0, 64);
}

}  // namespace

CheckpointWriter::CheckpointWriter(CheckpointWriterOptions options) : options_(std::move(options)) {
  LDMPI_CHECK(options_.keep >= 1, "keep {} checkpoints", options_.keep);
  remove_leftovers(options_.checkpoints);
  write_probe(options_.checkpoints);
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

CheckpointWriter::~CheckpointWriter() = default;

void CheckpointWriter::submit(std::shared_ptr<const Snapshot> snapshot) {
  LDMPI_CHECK(snapshot != nullptr, "no snapshot");
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return pending_ == nullptr; });
  throw_if_failed();
  pending_ = std::move(snapshot);
  changed_.notify_all();
}

bool CheckpointWriter::busy() const {
  const std::scoped_lock lock(mutex_);
  return pending_ != nullptr;
}

void CheckpointWriter::poll() {
  const std::scoped_lock lock(mutex_);
  throw_if_failed();
}

void CheckpointWriter::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return pending_ == nullptr; });
  throw_if_failed();
}

void CheckpointWriter::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return pending_ == nullptr; });
  throw_if_failed();
  if (message_) fail(Exit::IoError, "the last checkpoint could not be saved: {}", *message_);
}

std::optional<std::int64_t> CheckpointWriter::last_saved_step() const {
  const std::scoped_lock lock(mutex_);
  return saved_step_;
}

std::optional<std::string> CheckpointWriter::last_error() const {
  const std::scoped_lock lock(mutex_);
  return message_;
}

double CheckpointWriter::last_seconds() const {
  const std::scoped_lock lock(mutex_);
  return seconds_;
}

void CheckpointWriter::throw_if_failed() const {
  if (lost_run_) fail(Exit::CannotCreate, "{}", message_.value_or("another job has taken over this run"));
  if (failures_ >= kMaxFailures)
    fail(Exit::IoError,
         "{} checkpoints in a row could not be saved, the last one because: {}. The newest good one is {}", failures_,
         message_.value_or("?"), saved_step_ ? step_folder_name(*saved_step_) : "from an earlier job, if any");
}

void CheckpointWriter::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  // A snapshot that was submitted before the stop is still saved.
  while (changed_.wait(lock, stop, [&] { return pending_ != nullptr; })) {
    const std::shared_ptr<const Snapshot> snapshot = pending_;
    const Clock::time_point start = Clock::now();
    lock.unlock();
    std::optional<std::string> message;
    try {
      save(*snapshot);
    } catch (const std::exception& error) {
      message = error.what();
    }
    lock.lock();
    seconds_ = seconds_since(start);
    finish_save(snapshot->state().step, std::move(message));
    pending_.reset();
    changed_.notify_all();
  }
}

void CheckpointWriter::finish_save(std::int64_t step, std::optional<std::string> message) {
  message_ = std::move(message);
  if (!message_) {
    failures_ = 0;
    saved_step_ = step;
    log::info("saved checkpoint {} in {:.1f} s", step_folder_name(step), seconds_);
    return;
  }
  ++failures_;
  log::warning("CHECKPOINT OF STEP {} NOT SAVED ({} of {} failures in a row): {}. {}", step, failures_, kMaxFailures,
               *message_,
               lost_run_ || failures_ >= kMaxFailures ? "Training stops"
                                                      : "Training continues and saves again at the next interval");
}

void CheckpointWriter::save(const Snapshot& snapshot) {
  const fs::path& checkpoints = options_.checkpoints;
  const std::string name = step_folder_name(snapshot.state().step);
  const fs::path temporary = checkpoints / fmt::format(".tmp-{}-{}", file_name_part(options_.job_id), ::getpid());
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  try {
    require_space(checkpoints, snapshot_bytes(snapshot));
    write_snapshot(snapshot, temporary);
    if (options_.owns_run && !options_.owns_run()) {
      const std::scoped_lock lock(mutex_);
      lost_run_ = true;
      fail(Exit::CannotCreate, "another job has taken over the run of {}: this one must stop", checkpoints.string());
    }
    publish_folder(temporary, checkpoints / name);
  } catch (...) {
    fs::remove_all(temporary, ignored);
    throw;
  }
  write_latest(checkpoints, name);
  apply_retention(checkpoints, options_.keep);
}

}  // namespace ldmpi::train
