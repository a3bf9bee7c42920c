// The loop is one page: train() at the end of this file. What happens inside a step is the program (train/step_graph).

#include "train/trainer.h"

#include <cmath>
#include <iostream>
#include <numeric>

#include "base/build_info.h"
#include "base/log.h"
#include "comm/agree.h"
#include "comm/signals.h"
#include "config/print.h"
#include "config/resolve.h"
#include "data/batch_reader.h"
#include "io/atomic_file.h"
#include "plan/report.h"
#include "train/checkpoint_writer.h"
#include "train/draw_log.h"
#include "train/final_model.h"
#include "train/job.h"
#include "train/learning_rate.h"
#include "train/memory_check.h"
#include "train/metrics.h"
#include "train/print_stages.h"
#include "train/report.h"
#include "train/resume.h"
#include "train/run_folder.h"
#include "train/run_lock.h"
#include "train/validation.h"

namespace ldmpi::train {
namespace {

constexpr int kBadStepsInRow = 3;

// What rank 0 alone holds: the record of the run and its checkpoints.
struct Record {
  std::unique_ptr<RunLock> lock;
  std::unique_ptr<CheckpointReader> newest;
  std::unique_ptr<CheckpointWriter> writer;
  std::unique_ptr<Metrics> metrics;
};

void log_plan(const exec::ProgramSet& programs, const StepSpec& spec) {
  std::string arenas;
  for (int a = 0; a < ir::kArenas; ++a)
    if (const auto bytes = programs.arena_bytes()[static_cast<std::size_t>(a)]; bytes > 0)
      arenas += fmt::format("{}{} {}", arenas.empty() ? "" : ", ", name_of(static_cast<ir::Arena>(a)),
                            plan::bytes_text(bytes));
  log::info("model: {} parameters, {} trainable, {} tensors", spec.table->parameter_count(),
            spec.table->trainable_count(), spec.table->entries().size());
  log::info("memory of a rank: {} ({})", plan::bytes_text(programs.total_bytes()), arenas);
}

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

class Loop {
 public:
  Loop(config::TrainConfig& config, comm::Communicator& communicator, Job& job, backend::Device& device, Record& record,
       TrainState state)
      : config_(config),
        communicator_(communicator),
        job_(job),
        record_(record),
        access_{job.spec(), job.parameters(), job.programs(), device, communicator},
        state_(std::move(state)),
        skipped_(state_.skipped_steps),
        rate_{config.schedule.name, *config.optimizer.learning_rate, *config.schedule.warmup_steps,
              config.max_train_steps},
        reader_(job.dataset(), {.seed = config.seed,
                                .total_batch_size = static_cast<std::uint64_t>(*config.total_batch_size),
                                .batch_size = static_cast<std::uint64_t>(*config.batch_size),
                                .rank = communicator.rank(),
                                .ranks = communicator.size(),
                                .accumulation = static_cast<int>(*config.accumulation),
                                .start_cursor = state_.cursor,
                                .bad_sample = config.data.bad_sample == config::BadSample::Skip ? data::BadSample::Skip
                                                                                                : data::BadSample::Fail,
                                .prefetch = static_cast<int>(config.data.prefetch)}) {
    if (config.log.draws)
      draws_.emplace(RunFolder(config.output_dir).draw_log(communicator.rank()), config.seed,
                     job.objective().schedule.num_train_timesteps);
    for (std::size_t b = 0; b < job.dataset().info().buckets.size(); ++b) {
      const auto& p = job.bucket(b);
      for (int program : {p.step, p.first, p.middle, p.last})
        if (program >= 0) write_constant_inputs(job.programs(), program, job.dataset());
    }
  }

  [[nodiscard]] const TrainState& state() const { return state_; }

  // One optimizer step. Returns whether all ranks were asked to stop behind it.
  bool step() {
    const auto began = Clock::now();
    auto& programs = job_.programs();
    double waited = 0;
    exec::PhaseSeconds phases{};
    int program = -1;
    for (int micro = 0; micro < job_.spec().accumulation; ++micro) {
      const auto& batch = reader_.next();
      waited += reader_.wait_seconds();
      if (draws_) draws_->add(state_.step + 1, batch);
      const auto& bucket = job_.bucket(batch.bucket);
      program = bucket.step >= 0                        ? bucket.step
                : micro == 0                            ? bucket.first
                : micro + 1 == job_.spec().accumulation ? bucket.last
                                                        : bucket.middle;
      const auto written = Clock::now();
      write_batch(programs, program, batch);
      if (programs.has_input(program, std::string(label::kLr))) write_step_inputs(program);
      phases[static_cast<std::size_t>(ir::Phase::Data)] += seconds_since(written);
      const auto seconds = programs.run(program);
      for (std::size_t i = 0; i < phases.size(); ++i) phases[i] += seconds[i];
      state_.epoch = static_cast<std::int64_t>(batch.epoch);
    }
    ++state_.step;
    state_.cursor += static_cast<std::uint64_t>(*config_.total_batch_size);
    const bool stop = read_results(program);
    interval_.seconds += seconds_since(began);
    interval_.waited += waited;
    for (std::size_t i = 0; i < phases.size(); ++i) interval_.phases[i] += phases[i];
    ++interval_.steps;
    return stop;
  }

  // Writes the record of the step.
  void report() {
    StepMetrics metrics;
    metrics.step = state_.step;
    metrics.loss = loss_;
    metrics.lr = rate_.at(state_.step);
    metrics.grad_norm = norm_;
    const auto steps = static_cast<double>(interval_.steps);
    metrics.samples_per_second = steps * static_cast<double>(*config_.total_batch_size) / interval_.seconds;
    metrics.data_wait_ms = 1e3 * interval_.waited / steps;
    for (int p = 0; p < 5; ++p)
      metrics.extra.emplace_back(fmt::format("{}_ms", name_of(static_cast<ir::Phase>(p))),
                                 1e3 * interval_.phases[static_cast<std::size_t>(p)] / steps);
    metrics.extra.emplace_back("epoch", static_cast<double>(state_.epoch));
    metrics.extra.emplace_back("skipped_steps", static_cast<double>(skipped_));
    if (config_.precision == config::Precision::Fp16) metrics.extra.emplace_back("loss_scale", scale_);
    if (record_.metrics) record_.metrics->log(metrics);
    state_.wall_seconds += interval_.seconds;
    interval_ = {};
  }

  void save() {
    auto texts = model_texts(job_.model(), sampling_facts(job_.dataset().info()), job_.spec().update.ema);
    texts["config.cfg"] = state_.config;
    save_state(access_, record_.writer.get(), state_, std::move(texts));
  }

  void validate() {
    const double loss = validation_loss(job_, communicator_, *job_.validation_data(), config_.validation.samples);
    log::info("step {}: validation loss {:.6f}", state_.step, loss);
    if (record_.metrics) record_.metrics->event("validation", state_.step, {{"validation_loss", loss}});
  }

  void write_final() {
    write_final_model(RunFolder(config_.output_dir).final_model(), job_.model(), sampling_facts(job_.dataset().info()),
                      access_);
  }

 private:
  struct Interval {
    double seconds = 0;
    double waited = 0;
    exec::PhaseSeconds phases{};
    std::int64_t steps = 0;
  };

  static void write_batch(exec::ProgramSet& programs, int program, const data::Batch& batch) {
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

  void write_step_inputs(int program) {
    const auto rate = static_cast<float>(rate_.at(state_.step + 1));
    job_.programs().write_input(program, std::string(label::kLr), &rate, sizeof rate);
    if (communicator_.size() == 1) return;
    const double control[kControlWords] = {comm::pending_stop().any() ? 1.0 : 0.0, 0, 0, 0};
    job_.programs().write_input(program, std::string(label::kControl), control, sizeof control);
  }

  bool read_results(int program) {
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

  config::TrainConfig& config_;
  comm::Communicator& communicator_;
  Job& job_;
  Record& record_;
  StateAccess access_;
  TrainState state_;
  std::int64_t skipped_;  // in the whole run
  LearningRate rate_;
  data::BatchReader reader_;
  std::optional<DrawLog> draws_;
  Interval interval_;
  double loss_ = 0;
  double norm_ = 0;
  double scale_ = 1;
  int skipped_in_row_ = 0;
};

}  // namespace

Exit train(config::TrainConfig config, const comm::Environment& environment, comm::Communicator& communicator,
           const Machine& machine) {
  auto& [lowering, device, collectives] = machine;
  const RunFolder folder(config.output_dir);
  const bool root = communicator.rank() == 0;
  const bool print_only = !config.print.empty();
  Record record;
  if (!print_only) {
    comm::agree(communicator, [&] {
      if (!root) return;
      require(config.resume != config::Resume::Never || !folder.is_used(), Exit::CannotCreate,
              "{} holds an earlier run and --resume never was given. Choose another --output_dir, or let it resume "
              "(--resume auto)",
              config.output_dir);
      (void)prepare_run_folder(config.output_dir);
      record.lock = std::make_unique<RunLock>(folder.lock(), environment.job_id);
    });
    comm::agree(communicator, [&] { log::open_file(folder.rank_log(communicator.rank())); });
  }
  const auto job_owner = comm::agree(
      communicator, [&] { return std::make_unique<Job>(config, lowering, communicator.rank(), communicator.size()); });
  comm::agree(communicator, [] { comm::end_if_asked_to_stop(); });
  auto& job = *job_owner;
  comm::agree_equal(communicator, "their build", build_id(), "install the same build on every node");
  comm::agree_equal(communicator, "their dataset", job.fingerprints().at("data"), "make all nodes see the same files");
  log::info("{} rank{}, each: {}", communicator.size(), communicator.size() == 1 ? "" : "s", device.description());
  log_plan(job.programs(), job.spec());
  const bool on_host = device.free_memory().of_host;
  check_memory(
      device, communicator, rank_bytes(job.programs(), job.parameters(), on_host),
      [&](std::int64_t bytes) { return batch_advice(config, lowering, communicator.size(), on_host, bytes); });

  TrainState state = comm::agree(communicator, [&] {
    return prepare_resume(config, job.fingerprints(), root && !print_only, folder, record.newest);
  });
  comm::agree(communicator, [&] { job.programs().bind(device, collectives); });
  if (print_only) {
    if (root) print_stages(std::cout, config.print, job.programs());
    return Exit::Done;
  }
  const StateAccess access{job.spec(), job.parameters(), job.programs(), device, communicator};
  state = load_state(access, job, config, record.newest.get(), std::move(state));
  record.newest.reset();
  if (state.step >= config.max_train_steps && std::filesystem::exists(folder.final_model())) {
    log::info("{} is finished: step {} of {}. Raise --max_train_steps to go on.", config.output_dir, state.step,
              config.max_train_steps);
    return Exit::Done;
  }
  comm::agree(communicator, [&] {
    if (!root) return;
    io::write_file_atomically(folder.config(), state.config);
    drop_draws_after(folder.logs(), state.step);
    record.writer = std::make_unique<CheckpointWriter>(
        CheckpointWriterOptions{folder.checkpoints(), static_cast<int>(config.checkpoint.keep), environment.job_id,
                                [&] { return record.lock->owned(); }});
    record.metrics = std::make_unique<Metrics>(
        MetricsOptions{folder.metrics(),
                       config.log.tensorboard ? std::optional(folder.tensorboard()) : std::nullopt,
                       state.step,
                       {.first_step = state.step,
                        .last_step = config.max_train_steps,
                        .every = config.log.every,
                        .terminal = std::nullopt}});
  });

  comm::agree(communicator, [] { comm::end_if_asked_to_stop(); });
  Loop loop(config, communicator, job, device, record, std::move(state));
  bool stop = false;
  while (loop.state().step < config.max_train_steps && !stop) {
    stop = loop.step();
    const bool last = stop || loop.state().step == config.max_train_steps;
    loop.report();
    if (job.validation_data() != nullptr && (loop.state().step % config.validation.every == 0 || last)) loop.validate();
    if (last || loop.state().step % config.checkpoint.every == 0) loop.save();
    if (record.writer) record.writer->poll();
  }
  comm::agree(communicator, [&] {
    if (record.metrics) record.metrics->flush();
    if (record.writer) record.writer->finish();
  });
  if (stop && loop.state().step < config.max_train_steps) {
    log::info("stopped on request behind step {}; the same command goes on from there", loop.state().step);
    return Exit::Requeue;
  }
  loop.write_final();
  if (root) {
    write_report(folder.root(), folder.report());
    log::info("done: {}", folder.final_model().string());
  }
  return Exit::Done;
}

}  // namespace ldmpi::train
