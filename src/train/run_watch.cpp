#include "train/run_watch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "io/file.h"
#include "train/retention.h"

namespace ldmpi::train {
namespace {

constexpr std::size_t kTrailLength = 2048;
constexpr std::size_t kReadChunk = std::size_t{1} << 20;
constexpr std::size_t kLongestLine = std::size_t{16} << 20;
constexpr std::size_t kLogTail = 16384;
constexpr std::size_t kWarnings = 3;
constexpr std::size_t kLevelAt = 24;

std::optional<std::int64_t> integer_at(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) return {};
  return found->get<std::int64_t>();
}

}  // namespace

void Trail::add(double value) {
  sum_ += value;
  if (++held_ < stride_) return;
  means_.push_back(sum_ / static_cast<double>(held_));
  sum_ = 0;
  held_ = 0;
  if (means_.size() < kTrailLength) return;
  for (std::size_t i = 0; i < kTrailLength / 2; ++i) means_[i] = (means_[2 * i] + means_[2 * i + 1]) / 2;
  means_.resize(kTrailLength / 2);
  stride_ *= 2;
}

std::vector<double> Trail::means(std::size_t count) const {
  auto all = means_;
  if (held_ > 0) all.push_back(sum_ / static_cast<double>(held_));
  const std::size_t size = (all.size() + count - 1) / std::max<std::size_t>(count, 1);
  std::vector<double> result;
  for (std::size_t begin = 0; begin < all.size(); begin += size) {
    const std::size_t end = std::min(begin + size, all.size());
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += all[i];
    result.push_back(sum / static_cast<double>(end - begin));
  }
  return result;
}

std::optional<double> RunPicture::value(std::string_view key) const {
  const auto found = values.find(std::string(key));
  if (found == values.end()) return {};
  return found->second;
}

RunWatch::RunWatch(std::filesystem::path run) : run_(std::move(run)) {}

void RunWatch::look() {
  read_record();
  std::error_code ignored;
  picture_.checkpoint = read_latest(run_.checkpoints());
  picture_.final_model = std::filesystem::exists(run_.final_model(), ignored);
  read_warnings();
}

void RunWatch::read_record() {
  const io::FileDescriptor file(::open(run_.metrics().c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    picture_ = {};
    inode_ = offset_ = 0;
    rest_.clear();
    return;
  }
  if (status.st_ino != inode_ || static_cast<std::uint64_t>(status.st_size) < offset_) {
    picture_ = {};
    offset_ = 0;
    rest_.clear();
    inode_ = status.st_ino;
  }
  std::string chunk(kReadChunk, '\0');
  for (;;) {
    const ssize_t got = ::pread(file.get(), chunk.data(), chunk.size(), static_cast<off_t>(offset_));
    if (got <= 0) return;
    offset_ += static_cast<std::uint64_t>(got);
    rest_.append(chunk, 0, static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', begin)) {
      take(std::string_view(rest_).substr(begin, end - begin));
      begin = end + 1;
    }
    rest_.erase(0, begin);
    if (rest_.size() > kLongestLine) rest_.clear();
  }
}

void RunWatch::take(std::string_view line) {
  const auto object = nlohmann::json::parse(line, nullptr, false);
  if (!object.is_object()) return;
  const auto step = integer_at(object, "step");
  if (!step) return;
  auto& p = picture_;
  p.started = true;
  p.step = *step;
  if (const auto time = object.find("time"); time != object.end() && time->is_number()) p.time = time->get<double>();
  if (const auto restart = integer_at(object, "restart")) {
    p.restarts = *restart;
    return;
  }
  const auto event = object.find("event");
  if (event != object.end() && *event == "start") {
    p.last_step = integer_at(object, "max_train_steps").value_or(0);
    p.ranks = integer_at(object, "ranks").value_or(0);
    const auto hosts = object.find("hosts");
    p.hosts = hosts != object.end() && hosts->is_array() ? hosts->size() : 0;
    const auto device = object.find("device");
    p.device = device != object.end() && device->is_string() ? device->get<std::string>() : "";
    p.job_end.reset();
    if (const auto end = integer_at(object, "job_end")) p.job_end = static_cast<double>(*end);
    p.who.clear();
  }
  for (const auto& [key, value] : object.items()) {
    if (constexpr std::string_view kRank = "_max_rank"; key.ends_with(kRank) && value.is_number_integer()) {
      const auto what = key.substr(0, key.size() - kRank.size());
      const auto host = object.find(what + "_max_host");
      p.who[what] = fmt::format("rank {}", value.get<std::int64_t>());
      if (host != object.end() && host->is_string()) p.who[what] += " on " + host->get<std::string>();
    } else if (value.is_number()) {
      p.values[key] = value.get<double>();
    } else if (value.is_null()) {
      p.values.erase(key);  // not finite
    }
  }
  if (event != object.end()) return;
  if (const auto loss = p.value("loss")) p.loss.add(*loss);
  if (const auto speed = p.value("samples_per_second")) p.speed.add(*speed);
}

void RunWatch::read_warnings() {
  picture_.warnings.clear();
  const auto path = run_.rank_log(0);
  const io::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) return;
  const auto size = static_cast<std::size_t>(status.st_size);
  std::string text(std::min(size, kLogTail), '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), static_cast<off_t>(size - text.size()));
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  for (std::size_t end = text.find('\n'), begin = 0; end != std::string::npos; end = text.find('\n', begin)) {
    const auto line = text.substr(begin, end - begin);
    begin = end + 1;
    // "2026-01-31T12:00:00.000 W text" (base/log.cpp)
    if (line.size() <= kLevelAt || (line[kLevelAt] != 'W' && line[kLevelAt] != 'E')) continue;
    picture_.warnings.push_back(line);
    if (picture_.warnings.size() > kWarnings) picture_.warnings.erase(picture_.warnings.begin());
  }
}

}  // namespace ldmpi::train
