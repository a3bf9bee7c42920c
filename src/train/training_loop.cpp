#include "train/training_loop.h"

#include <cmath>

#include "base/log.h"
#include "comm/agree.h"
#include "comm/signals.h"
#include "train/final_model.h"
#include "train/run_folder.h"
#include "train/validation.h"

namespace ldmpi::train {
namespace {

constexpr int kBadStepsInRow = 3;

// The inputs that are the same in every step of a program.
void write_constant_inputs(exec::ProgramSet& programs, int program, const data::Dataset& dataset) {
  auto put = [&](std::string_view name, const std::vector<float>& values) {
    const std::string label(name);
    if (programs.has_input(program, label))
      programs.write_input(program, label, values.data(), values.size() * sizeof(float));
  };
  put(label::kEmpty, dataset.empty_prompt());
  put(label::kEmptyPooled, dataset.empty_pooled());
}

void write_batch(exec::ProgramSet& programs, int program, const data::Batch& batch) {
  auto put = [&](std::string_view name, const auto& values) {
    const std::string label(name);
    if (programs.has_input(program, label))
      programs.write_input(program, label, values.data(), values.size() * sizeof(values[0]));
  };
  put(label::kDraws, batch.draws);
  put(label::kLatents, batch.rows.latents);
  put(label::kContext, batch.rows.context);
  put(label::kPooled, batch.rows.pooled);
  put(label::kTimeIds, batch.rows.time_ids);
}

data::ReaderOptions reader_options(const config::TrainConfig& config, const comm::Communicator& communicator,
                                   std::uint64_t cursor) {
  return {.seed = config.seed,
          .total_batch_size = static_cast<std::uint64_t>(*config.total_batch_size),
          .batch_size = static_cast<std::uint64_t>(*config.batch_size),
          .rank = communicator.rank(),
          .ranks = communicator.size(),
          .accumulation = static_cast<int>(*config.accumulation),
          .start_cursor = cursor,
          .bad_sample =
              config.data.bad_sample == config::BadSample::Skip ? data::BadSample::Skip : data::BadSample::Fail,
          .prefetch = static_cast<int>(config.data.prefetch)};
}

}  // namespace

TrainingLoop::TrainingLoop(const config::TrainConfig& config, Job& job, const StateAccess& access, Record& record,
                           TrainState state)
    : config_(config),
      job_(job),
      access_(access),
      communicator_(access.communicator),
      record_(record),
      state_(std::move(state)),
      skipped_(state_.skipped_steps),
      flops_(flops_of_programs(job.programs())),
      probe_(access.device.identity()),
      rate_{config.schedule.name, *config.optimizer.learning_rate, *config.schedule.warmup_steps,
            config.max_train_steps},
      reader_(job.dataset(), reader_options(config, communicator_, state_.cursor)) {
  if (config.log.draws)
    draws_.emplace(RunFolder(config.output_dir).draw_log(communicator_.rank()), config.seed,
                   job.objective().schedule.num_train_timesteps);
  if (config.samples.every > 0)
    comm::agree(communicator_, [&] { samples_.emplace(config.samples, job); });
  for (std::size_t b = 0; b < job.dataset().info().buckets.size(); ++b) {
    const auto& p = job.bucket(b);
    for (int program : {p.step, p.first, p.middle, p.last})
      if (program >= 0) write_constant_inputs(job.programs(), program, job.dataset());
  }
}

bool TrainingLoop::step() {
  const auto began = Clock::now();
  auto& programs = job_.programs();
  StepTotals totals;
  totals.steps = 1;
  int program = -1;
  for (int micro = 0; micro < job_.spec().accumulation; ++micro) {
    const auto& batch = reader_.next();
    totals.data_wait += reader_.wait_seconds();
    if (draws_) draws_->add(state_.step + 1, batch);
    const auto& bucket = job_.bucket(batch.bucket);
    program = bucket.step >= 0                        ? bucket.step
              : micro == 0                            ? bucket.first
              : micro + 1 == job_.spec().accumulation ? bucket.last
                                                      : bucket.middle;
    const auto written = Clock::now();
    write_batch(programs, program, batch);
    if (programs.has_input(program, std::string(label::kLr))) write_step_inputs(program);
    totals.phases[static_cast<std::size_t>(ir::Phase::Data)] += seconds_since(written);
    const auto seconds = programs.run(program);
    for (std::size_t i = 0; i < seconds.size(); ++i) totals.phases[i] += seconds[i];
    totals.flops += flops_[static_cast<std::size_t>(program)];
    state_.epoch = static_cast<std::int64_t>(batch.epoch);
  }
  ++state_.step;
  state_.cursor += static_cast<std::uint64_t>(*config_.total_batch_size);
  const bool stop = read_results(program);
  totals.seconds = seconds_since(began);
  interval_.add(totals);
  return stop;
}

void TrainingLoop::report() {
  StepMetrics metrics;
  metrics.step = state_.step;
  metrics.loss = loss_;
  metrics.lr = rate_.at(state_.step);
  metrics.grad_norm = norm_;
  metrics.samples_per_second = static_cast<double>(interval_.steps * *config_.total_batch_size) / interval_.seconds;
  metrics.totals = interval_;
  metrics.extra.emplace_back("epoch", static_cast<double>(state_.epoch));
  metrics.extra.emplace_back("skipped_steps", static_cast<double>(skipped_));
  if (config_.precision == config::Precision::Fp16) metrics.extra.emplace_back("loss_scale", scale_);
  if (record_.metrics) record_.metrics->log(metrics);
  state_.wall_seconds += interval_.seconds;
  of_rank_.add(interval_);
  interval_ = {};
  if (state_.step % config_.log.every == 0 || state_.step == config_.max_train_steps) report_ranks();
}

void TrainingLoop::report_ranks() {
  auto all = gather_rank_values(communicator_, probe_.values(of_rank_));
  if (record_.metrics) record_.metrics->ranks(state_.step, std::move(all));
  of_rank_ = {};
}

void TrainingLoop::save() {
  const auto began = Clock::now();
  auto texts = model_texts(job_.model(), sampling_facts(job_.dataset().info()), job_.spec().update.ema);
  texts["config.cfg"] = state_.config;
  save_state(access_, record_.writer.get(), state_, std::move(texts));
  const double seconds = seconds_since(began);
  interval_.checkpoint += seconds;
  if (record_.metrics)
    record_.metrics->event(
        "checkpoint", state_.step,
        {{"checkpoint_step", static_cast<double>(state_.step)}, {"checkpoint_stall_ms", 1e3 * seconds}});
}

void TrainingLoop::validate() {
  const double loss = validation_loss(job_, communicator_, *job_.validation_data(), config_.validation.samples);
  log::info("step {}: validation loss {:.6f}", state_.step, loss);
  if (record_.metrics) record_.metrics->event("validation", state_.step, {{"validation_loss", loss}});
}

void TrainingLoop::draw_samples() {
  samples_->draw(state_.step, communicator_, RunFolder(config_.output_dir).samples(), record_.metrics.get());
}

void TrainingLoop::write_final() {
  write_final_model(RunFolder(config_.output_dir).final_model(), job_.model(), sampling_facts(job_.dataset().info()),
                    access_);
}

void TrainingLoop::write_step_inputs(int program) {
  const auto rate = static_cast<float>(rate_.at(state_.step + 1));
  job_.programs().write_input(program, std::string(label::kLr), &rate, sizeof rate);
  if (communicator_.size() == 1) return;
  const double control[kControlWords] = {comm::pending_stop().any() ? 1.0 : 0.0, 0, 0, 0};
  job_.programs().write_input(program, std::string(label::kControl), control, sizeof control);
}

bool TrainingLoop::read_results(int program) {
  auto& programs = job_.programs();
  float loss = 0;
  programs.read_output(program, "loss_total", &loss, sizeof loss);
  loss_ = static_cast<double>(loss) / (communicator_.size() * job_.spec().accumulation);
  double metrics[4];  // norm, finite, loss scale, applied
  programs.read_output(program, std::string(label::kMetrics), metrics, sizeof metrics);
  norm_ = metrics[0];
  scale_ = metrics[2];
  const bool finite = metrics[1] != 0;
  skipped_in_row_ = finite ? 0 : skipped_in_row_ + 1;
  if (!finite) {
    ++skipped_;
    log::warning("step {}: the gradient norm is not finite; the update was skipped (loss {}, loss scale {})",
                 state_.step, loss_, scale_);
    const bool hopeless = config_.precision != config::Precision::Fp16 || !std::isfinite(loss_) || scale_ <= 1;
    if (skipped_in_row_ >= kBadStepsInRow && hopeless)
      throw comm::AgreedError(
          Exit::Numerical,
          fmt::format("{} steps in a row without a finite gradient, the last at step {}. The newest checkpoint "
                      "is unharmed. Lower optimizer.learning_rate, or check the data with ldmpi-data verify",
                      skipped_in_row_, state_.step));
  }
  if (communicator_.size() == 1) return comm::pending_stop().any();
  double control[kControlWords];
  programs.read_output(program, "control_total", control, sizeof control);
  return control[0] > 0;
}

}  // namespace ldmpi::train
