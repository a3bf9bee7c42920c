#include "train/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/log.h"
#include "io/event_file.h"
#include "train/metrics_history.h"

namespace ldmpi::train {

namespace {

constexpr double kSecondsBetweenWarnings = 60.0;

using Json = nlohmann::ordered_json;  // keys in the order in which they are set; NaN and infinities become null

std::string text_of(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

Metrics::Metrics(MetricsOptions options) : options_(std::move(options)), progress_(options_.progress) {
  std::error_code ignored;
  const bool resumed = options_.restored_step > 0 || std::filesystem::exists(options_.file, ignored);
  if (resumed) restarts_ = drop_history_after(options_.file, options_.restored_step) + 1;
  file_ = io::FileDescriptor(::open(options_.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!file_) io::fail_create("open", options_.file, errno);
  if (resumed) append(text_of({{"restart", restarts_}, {"step", options_.restored_step}, {"time", wall_seconds()}}));
  if (!options_.tensorboard) return;
  try {
    events_ = std::make_unique<io::EventFileWriter>(*options_.tensorboard);
  } catch (const Error& error) {
    warn(error.what());
  }
}

Metrics::~Metrics() {
  progress_.end();
}

void Metrics::log(const StepMetrics& m) {
  std::vector<std::pair<std::string, double>> values = {{"loss", m.loss},
                                                        {"lr", m.lr},
                                                        {"grad_norm", m.grad_norm},
                                                        {"samples_per_second", m.samples_per_second},
                                                        {"data_wait_ms", m.data_wait_ms}};
  values.insert(values.end(), m.extra.begin(), m.extra.end());
  Json object = {{"step", m.step}, {"time", wall_seconds()}};
  for (const auto& [key, value] : values) object[key] = value;
  append(text_of(object));
  add_scalars("train", m.step, values);
  progress_.show({.step = m.step, .samples_per_second = m.samples_per_second, .loss = m.loss, .lr = m.lr});
}

void Metrics::event(std::string_view name, std::int64_t step,
                    const std::vector<std::pair<std::string, double>>& values) {
  Json object = {{"event", name}, {"step", step}, {"time", wall_seconds()}};
  for (const auto& [key, value] : values) object[key] = value;
  append(text_of(object));
  add_scalars(name, step, values);
}

void Metrics::flush() {
  progress_.end();
  if (!events_) return;
  try {
    events_->flush();
  } catch (const Error& error) {
    warn(error.what());
  }
}

void Metrics::append(std::string line) {
  if (torn_) line.insert(line.begin(), '\n');
  line += '\n';
  ssize_t put = 0;
  do put = ::write(file_.get(), line.data(), line.size());
  while (put < 0 && errno == EINTR);
  if (put == static_cast<ssize_t>(line.size())) {
    torn_ = false;
    return;
  }
  warn(fmt::format("cannot write {}: {}", options_.file.string(), put < 0 ? std::strerror(errno) : "no space left"));
  torn_ = torn_ || put > 0;
}

void Metrics::warn(std::string_view what) {
  if (last_warning_ && seconds_since(*last_warning_) < kSecondsBetweenWarnings) return;
  last_warning_ = Clock::now();
  ldmpi::log::warning("a part of the record of this run is lost (training goes on): {}", what);
}

void Metrics::add_scalars(std::string_view group, std::int64_t step,
                          const std::vector<std::pair<std::string, double>>& values) {
  if (!events_) return;
  try {
    for (const auto& [key, value] : values)
      events_->add_scalar(fmt::format("{}/{}", group, key), static_cast<float>(value), step);
  } catch (const Error& error) {
    warn(error.what());
  }
}

}  // namespace ldmpi::train
