#include "train/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/check.h"
#include "base/log.h"
#include "io/event_file.h"
#include "train/metrics_export.h"
#include "train/metrics_history.h"

namespace ldmpi::train {

namespace {

constexpr double kSecondsBetweenWarnings = 60.0;
constexpr std::int64_t kStepsToTrustPace = 10;

using Json = nlohmann::ordered_json;  // keys in the order in which they are set; NaN and infinities become null

std::string text_of(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The keys of a step's line. Times are means of a step, but checkpoint_ms, which is a sum.
NamedValues values_of(const StepMetrics& m, const std::optional<double>& peak_tflops) {
  const auto& t = m.totals;
  const double per_step = t.steps > 0 ? 1e3 / static_cast<double>(t.steps) : 0;
  NamedValues values = {{"loss", m.loss},
                        {"lr", m.lr},
                        {"grad_norm", m.grad_norm},
                        {"samples_per_second", m.samples_per_second},
                        {"step_ms", t.seconds * per_step}};
  if (t.seconds > 0 && t.flops > 0) {
    const double tflops = 1e-12 * t.flops / t.seconds;
    values.emplace_back("tflops", tflops);
    if (peak_tflops) values.emplace_back("peak_share", tflops / *peak_tflops);
  }
  values.emplace_back("data_wait_ms", t.data_wait * per_step);
  for (int p = 0; p < static_cast<int>(t.phases.size()); ++p)
    values.emplace_back(fmt::format("{}_ms", name_of(static_cast<ir::Phase>(p))),
                        t.of(static_cast<ir::Phase>(p)) * per_step);
  values.emplace_back("checkpoint_ms", 1e3 * t.checkpoint);
  values.insert(values.end(), m.extra.begin(), m.extra.end());
  return values;
}

}  // namespace

Metrics::Metrics(MetricsOptions options) : options_(std::move(options)), progress_(options_.progress) {
  std::error_code ignored;
  const bool resumed = options_.restored_step > 0 || std::filesystem::exists(options_.file, ignored);
  if (resumed) restarts_ = drop_history_after(options_.file, options_.restored_step) + 1;
  file_ = io::FileDescriptor(::open(options_.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!file_) io::fail_create("open", options_.file, errno);
  present_.run = std::filesystem::absolute(options_.file, ignored).parent_path().filename().string();
  present_.step = options_.restored_step;
  present_.restarts = restarts_;
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

void Metrics::start(RunFacts facts) {
  facts_ = std::move(facts);
  Json object = {{"event", "start"},
                 {"step", facts_.first_step},
                 {"time", wall_seconds()},
                 {"max_train_steps", facts_.last_step},
                 {"total_batch_size", facts_.total_batch_size},
                 {"ranks", facts_.hosts.size()},
                 {"hosts", std::set<std::string>(facts_.hosts.begin(), facts_.hosts.end())},
                 {"device", facts_.device},
                 {"planned_mib", static_cast<double>(facts_.planned_bytes) / 0x1p20}};
  if (facts_.peak_tflops) object["peak_tflops"] = *facts_.peak_tflops;
  if (facts_.job_end_seconds) object["job_end"] = *facts_.job_end_seconds;
  if (!facts_.job_id.empty()) object["job_id"] = facts_.job_id;
  object["config"] = facts_.config;
  append(text_of(object));
  export_state(true);
}

void Metrics::log(const StepMetrics& m) {
  auto values = values_of(m, facts_.peak_tflops);
  pace_.add(m.step);
  const auto eta = pace_.seconds_to(options_.progress.last_step);
  if (eta) values.emplace_back("eta_s", *eta);
  Json object = {{"step", m.step}, {"time", wall_seconds()}};
  for (const auto& [key, value] : values) object[key] = value;
  append(text_of(object));
  add_scalars("train", m.step, values);

  ProgressValues line;
  line.step = m.step;
  line.samples_per_second = m.samples_per_second;
  line.loss = m.loss;
  line.lr = m.lr;
  line.eta_seconds = eta;
  for (const auto& [key, value] : values) {
    if (key == "tflops") line.tflops = value;
    if (key == "peak_share") line.peak_share = value;
  }
  if (m.totals.seconds > 0) {
    line.data_share = m.totals.data_wait / m.totals.seconds;
    line.communicate_share = m.totals.of(ir::Phase::Communicate) / m.totals.seconds;
  }
  progress_.show(line);
  if (eta) check_time_left(m.step, *eta);
  present_.step = m.step;
  present_.values = std::move(values);
  export_state(false);
}

void Metrics::event(std::string_view name, std::int64_t step, const NamedValues& values) {
  Json object = {{"event", name}, {"step", step}, {"time", wall_seconds()}};
  for (const auto& [key, value] : values) {
    object[key] = value;
    present_.events[key] = value;
  }
  append(text_of(object));
  add_scalars(name, step, values);
}

void Metrics::ranks(std::int64_t step, std::vector<RankValues> values) {
  Json object = {{"event", "ranks"}, {"step", step}, {"time", wall_seconds()}};
  NamedValues scalars;
  for (std::size_t i = 0; i < kRankValues; ++i) {
    const auto value = static_cast<RankValue>(i);
    const auto spread = spread_of(values, value);
    if (spread.ranks == 0) continue;
    for (const auto& [suffix, number] : {std::pair<const char*, double>{"min", spread.min},
                                         {"median", spread.median},
                                         {"max", spread.max}}) {
      scalars.emplace_back(fmt::format("{}_{}", name_of(value), suffix), number);
      object[scalars.back().first] = number;
    }
    object[fmt::format("{}_max_rank", name_of(value))] = spread.max_rank;
    if (const auto rank = static_cast<std::size_t>(spread.max_rank); rank < facts_.hosts.size())
      object[fmt::format("{}_max_host", name_of(value))] = facts_.hosts[rank];
  }
  append(text_of(object));
  add_scalars("ranks", step, scalars);
  present_.ranks = std::move(values);
}

void Metrics::picture(std::string_view name, std::int64_t step, const io::Image& image, const NamedValues& values) {
  event(name, step, values);
  if (!events_) return;
  try {
    events_->add_image(name, image, step);
  } catch (const Error& error) {
    warn(error.what());
  }
}

void Metrics::flush() {
  progress_.end();
  export_state(true);
  if (!events_) return;
  try {
    events_->flush();
  } catch (const Error& error) {
    warn(error.what());
  }
}

void Metrics::check_time_left(std::int64_t step, double eta_seconds) {
  if (told_time_left_ || !facts_.job_end_seconds || step < options_.restored_step + kStepsToTrustPace) return;
  const double late = wall_seconds() + eta_seconds - static_cast<double>(*facts_.job_end_seconds);
  if (late <= 0) return;
  told_time_left_ = true;
  ldmpi::log::warning(
      "at the present pace the run ends in {}, which is {} behind the end of this job: it will take another job, or a "
      "longer time limit",
      duration_text(eta_seconds), duration_text(late));
}

void Metrics::export_state(bool now) {
  if (!options_.prometheus) return;
  if (!now && last_export_ && seconds_since(*last_export_) < options_.export_seconds) return;
  last_export_ = Clock::now();
  try {
    replace_file(*options_.prometheus, prometheus_text(facts_, present_));
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

void Metrics::add_scalars(std::string_view group, std::int64_t step, const NamedValues& values) {
  if (!events_) return;
  try {
    for (const auto& [key, value] : values)
      events_->add_scalar(fmt::format("{}/{}", group, key), static_cast<float>(value), step);
  } catch (const Error& error) {
    warn(error.what());
  }
}

}  // namespace ldmpi::train
